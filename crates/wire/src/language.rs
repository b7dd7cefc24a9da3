//! The language a peer says it is written in.

/// `LanguageCode` of the remoting protocol: a name in JSON headers, a number in binary ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum LanguageCode {
    /// What every Java peer sends; also what we send, because older peers know no newer name.
    #[default]
    Java,
    /// C++.
    Cpp,
    /// .NET.
    DotNet,
    /// Python.
    Python,
    /// Delphi.
    Delphi,
    /// Erlang.
    Erlang,
    /// Ruby.
    Ruby,
    /// Anything else that has no name of its own.
    Other,
    /// HTTP gateways.
    Http,
    /// Go.
    Go,
    /// PHP.
    Php,
    /// OpenMessaging.
    Oms,
    /// Rust.
    Rust,
    /// Node.js.
    NodeJs,
    /// A name or number that is none of the above; Java holds null.
    Unknown,
}

impl LanguageCode {
    const NAMES: [(LanguageCode, &'static str); 14] = [
        (Self::Java, "JAVA"),
        (Self::Cpp, "CPP"),
        (Self::DotNet, "DOTNET"),
        (Self::Python, "PYTHON"),
        (Self::Delphi, "DELPHI"),
        (Self::Erlang, "ERLANG"),
        (Self::Ruby, "RUBY"),
        (Self::Other, "OTHER"),
        (Self::Http, "HTTP"),
        (Self::Go, "GO"),
        (Self::Php, "PHP"),
        (Self::Oms, "OMS"),
        (Self::Rust, "RUST"),
        (Self::NodeJs, "NODE_JS"),
    ];

    /// The language with this number, `Unknown` if there is none.
    pub fn from_code(code: i64) -> Self {
        usize::try_from(code)
            .ok()
            .and_then(|index| Self::NAMES.get(index))
            .map_or(Self::Unknown, |(language, _)| *language)
    }

    /// The language with this constant name, `Unknown` if there is none.
    pub fn from_name(name: &str) -> Self {
        Self::NAMES.iter().find(|(_, known)| *known == name).map_or(Self::Unknown, |(language, _)| *language)
    }

    /// The number in binary headers; `Unknown` is written as `OTHER`.
    pub fn code(self) -> u8 {
        match self {
            Self::Unknown => Self::Other as u8,
            known => known as u8,
        }
    }

    /// Java's constant name; `Unknown` is written as `OTHER`.
    pub fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.code())].1
    }
}
