//! The command line of the servers: Java's flags, its help on stdout, its exit codes.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

use crate::{console, exit};

/// What the command line said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerArgs {
    /// `-c`: the conf file.
    pub config_file: Option<PathBuf>,
    /// `-n`: name server addresses, `;` between them; wins over the conf file.
    pub namesrv_addr: Option<String>,
    /// `-p`: print every configuration item and exit.
    pub print_all: bool,
    /// `-m`: print the important ones and exit (broker only).
    pub print_important: bool,
    /// `--strict-config`: refuse to start where Java would ignore a line of the conf file.
    pub strict: bool,
}

/// Parses the arguments of `program` (`mqnamesrv` or `mqbroker`).
///
/// # Errors
/// The exit code with which to end at once: 0 after help, 1 after a bad flag. What is to be printed has been printed:
/// the message on stderr and the usage on stdout.
pub fn parse_args(
    program: &'static str,
    important: bool,
    args: impl IntoIterator<Item = String>,
) -> Result<ServerArgs, i32> {
    let flag = |id: &'static str, short: char, help: &'static str| {
        Arg::new(id).short(short).long(id).action(ArgAction::SetTrue).help(help)
    };
    let mut command = Command::new(program)
        .no_binary_name(true)
        .disable_help_flag(true)
        .arg(Arg::new("configFile").short('c').long("configFile").help("Properties file of the server"))
        .arg(
            Arg::new("namesrvAddr")
                .short('n')
                .long("namesrvAddr")
                .help("Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'"),
        )
        .arg(flag("printConfigItem", 'p', "Print all config items"))
        .arg(
            Arg::new("strict-config")
                .long("strict-config")
                .action(ArgAction::SetTrue)
                .help("Refuse to start when a line of the conf file has no effect"),
        )
        .arg(flag("help", 'h', "Print help"));
    if important {
        command = command.arg(flag("printImportantConfig", 'm', "Print important config items"));
    }
    let usage = command.render_help();
    let matches = match command.try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => {
            let text = error.to_string();
            console::complain(text.lines().next().unwrap_or_default());
            console::print(&usage.to_string());
            return Err(exit::BAD_FLAG);
        }
    };
    if matches.get_flag("help") {
        console::print(&usage.to_string());
        return Err(exit::OK);
    }
    Ok(ServerArgs {
        config_file: matches.get_one::<String>("configFile").map(PathBuf::from),
        namesrv_addr: matches.get_one::<String>("namesrvAddr").cloned(),
        print_all: matches.get_flag("printConfigItem"),
        print_important: important && matches.get_flag("printImportantConfig"),
        strict: matches.get_flag("strict-config"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<ServerArgs, i32> {
        parse_args("mqbroker", true, args.iter().map(|a| (*a).to_owned()))
    }

    #[test]
    fn javas_flags_are_understood() {
        let args = parse(&["-c", "b.conf", "-n", "a:1;b:2", "-m"]).unwrap();
        assert_eq!(args.config_file, Some("b.conf".into()));
        assert_eq!(args.namesrv_addr.as_deref(), Some("a:1;b:2"));
        assert!(args.print_important && !args.print_all && !args.strict);
        assert_eq!(parse(&["--configFile", "x"]).unwrap().config_file, Some("x".into()));
        assert_eq!(parse(&["-h"]), Err(0));
        assert_eq!(parse(&["-x"]), Err(1));
        assert_eq!(parse(&["-c"]), Err(1));
    }
}
