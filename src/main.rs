fn main() -> std::process::ExitCode {
    ferryd::run()
}
