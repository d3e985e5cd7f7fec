//! A member by itself, for tests: `store-member --name=… --data-dir=…`.

fn main() -> std::process::ExitCode {
    store::run(std::env::args_os().skip(1))
}
