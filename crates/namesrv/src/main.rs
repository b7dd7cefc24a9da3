//! `mqnamesrv`: the name server as a process of its own.

fn main() {
    std::process::exit(raptormq_namesrv::main(std::env::args().skip(1)));
}
