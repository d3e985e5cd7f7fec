//! `gauntlet model`, as a process.

use std::process::{Command, Output};

fn model(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gauntlet"));
    command.arg("model").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[cfg(not(feature = "models"))]
#[test]
fn a_lean_build_says_how_to_get_models() {
    let output = model(&["defrag-crash", "--bug"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--features models"));
}

#[cfg(feature = "models")]
mod with_models {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpStream;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::{model, text};

    #[test]
    fn a_bug_is_told_step_by_step() {
        let output = model(&["defrag-crash", "--bug"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let lines = [
            "bounds: at most 2 members, 3 entries, 2 crashes",
            "  a shortest way there, 8 steps:",
            "     8. m1 applies entry 1 to its store in memory.",
            "    So: m1 has applied entry 1 twice.",
        ];
        for line in lines {
            assert!(told.lines().any(|found| found == line), "{line}\n{told}");
        }
    }

    #[test]
    fn a_mended_design_holds_in_all_states() {
        let output = model(&["defrag-crash", "--fixed"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        assert!(told.contains("19263 states, which are all, at most 21 steps"));
        assert!(!told.contains("broken"), "{told}");
    }

    #[test]
    fn both_are_run_where_neither_is_asked_for() {
        let output = model(&["auth-member-add"]);
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{told}");
        for title in ["with #14571", "with #13883", "the mended design"] {
            assert!(told.lines().any(|line| line.starts_with(title)), "{told}");
        }
        assert!(told.contains("As expected"), "{told}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (args, hint) in [
            (&["defrag"][..], "defrag-crash, auth-member-add"),
            (&["defrag-crash", "--bug", "14571"], "14685, 13766"),
            (&["defrag-crash", "--explore", "0.0.0.0:0"], "127.0.0.1"),
            (&["defrag-crash", "--explore", "nowhere"], "ADDR"),
            (&["defrag-crash", "--bug", "--fixed"], "--fixed"),
        ] {
            let output = model(args);
            assert_eq!(output.status.code(), Some(64), "{args:?}");
            assert!(text(&output.stderr).contains(hint), "{args:?}: {output:?}");
        }
    }

    struct Explorer(Child);

    impl Drop for Explorer {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_explorer_serves() {
        let child = Command::new(env!("CARGO_BIN_EXE_gauntlet"))
            .args(["model", "defrag-crash", "--bug", "--explore", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut explorer = Explorer(child);
        let lines = BufReader::new(explorer.0.stdout.take().unwrap()).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, rest) = line.split_once("http://")?;
                Some(rest.split_once('/')?.0.to_owned())
            })
            .expect("it prints an address");

        let page = get(&address, "/");
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        let status = get(&address, "/.status");
        assert!(status.contains("\"unique_state_count\""), "{status}");
        assert!(status.contains("none twice"), "{status}");
        let states = get(&address, "/.states/0");
        assert!(states.contains("A put of k is agreed on"), "{states}");
    }

    fn get(address: &str, path: &str) -> String {
        let mut stream = (0..100)
            .find_map(|_| {
                let stream = TcpStream::connect(address).ok();
                if stream.is_none() {
                    std::thread::sleep(Duration::from_millis(50));
                }
                stream
            })
            .expect("it listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}
