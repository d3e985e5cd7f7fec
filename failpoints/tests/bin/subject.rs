//! What the tests start: a launcher, and in its other modes a process under
//! test.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use failpoints::disk::{DiskServer, Options};
use failpoints::process::{SpawnSpec, Spawner, launcher_main};

fn main() -> ExitCode {
    launcher_main();
    failpoints::disk::server_main();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["tick"] => tick(),
        ["parent", log] => parent(log),
        ["lease"] => lease(),
        ["journal", path] => journal(path),
        ["disk-parent", dir] => disk_parent(dir),
        ["member", listen, control] => member(Ipv4Addr::LOCALHOST, port(listen), port(control)),
        ["member", listen, control, address] => {
            let address = address.parse().expect("an address");
            member(address, port(listen), port(control))
        }
        _ => {
            eprintln!("failpoints-subject: unknown mode {args:?}");
            ExitCode::from(64)
        }
    }
}

fn port(text: &str) -> u16 {
    text.parse().expect("a port")
}

/// Makes visible progress.
fn tick() -> ExitCode {
    loop {
        println!("tick");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A harness of its own: starts one `sleep`, says its pid, and keeps it until
/// its standard input ends.
fn parent(log: &str) -> ExitCode {
    let own = std::env::current_exe().expect("own path");
    let spawner = Spawner::new().expect("a thread");
    let mut spec = SpawnSpec::new(own, "/bin/sleep", log);
    spec.args = vec!["1000".into()];
    let process = spawner.spawn_blocking(spec).expect("a sleep");
    println!("{}", process.pid());
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

/// Another harness: leases a port, says which, and holds it until its standard
/// input ends.
fn lease() -> ExitCode {
    let lease = failpoints::ports::lease().expect("a port");
    println!("{}", lease.port());
    let _ = io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}

/// Who dialled this member.
#[derive(Default)]
struct Guests {
    streams: Mutex<Vec<TcpStream>>,
    /// Bytes that came from them.
    heard: AtomicU64,
}

impl Guests {
    fn echo(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return stream.shutdown(Shutdown::Write);
            }
            self.heard.fetch_add(read as u64, Ordering::SeqCst);
            stream.write_all(&buffer[..read])?;
        }
    }

    /// Says this to all of them, unasked.
    fn tell(&self, text: &str) {
        for mut stream in self.streams.lock().expect("no panic").iter() {
            let _ = stream.write_all(text.as_bytes());
        }
    }
}

/// Appends numbers to a file, and says each once it is synced.
fn journal(path: &str) -> ExitCode {
    let file = File::options().create(true).append(true).open(path);
    let mut file = file.expect("the journal");
    let kept = file.metadata().expect("its size").len() / 8;
    for number in kept + 1.. {
        let done = file.write_all(&number.to_le_bytes());
        if done.and_then(|()| file.sync_data()).is_err() {
            break;
        }
        println!("{number}");
    }
    ExitCode::FAILURE
}

/// A harness with a disk and a member on it: says both pids, and keeps them
/// until its standard input ends.
fn disk_parent(dir: &str) -> ExitCode {
    let own = std::env::current_exe().expect("own path");
    let dir = Path::new(dir);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let kept = runtime.block_on(async {
        let data = dir.join("data");
        std::fs::create_dir(&data).expect("a directory");
        let server = DiskServer::start(&own).await.expect("a server");
        let disk = server.mount("m1", &data, &data, Options::default()).await;
        let mut spec = SpawnSpec::new(&own, &own, dir.join("log"));
        spec.args = vec!["journal".into(), data.join("journal").into()];
        spec.namespaces = vec![server.namespace()];
        let spawner = Spawner::new().expect("a thread");
        let process = spawner.spawn(spec).await.expect("a member");
        println!("{} {}", server.pid(), process.pid());
        (disk.expect("a disk"), server, process)
    });
    let _ = io::stdin().read_to_end(&mut Vec::new());
    drop(kept);
    ExitCode::SUCCESS
}

/// A member: echoes on one port, and dials and sends as told on the other, a
/// line at a time.
fn member(address: Ipv4Addr, listen: u16, control: u16) -> ExitCode {
    let echo = TcpListener::bind((address, listen)).expect("the echo port");
    let control = TcpListener::bind((Ipv4Addr::LOCALHOST, control)).expect("the control port");
    let guests = Arc::new(Guests::default());
    let hosts = Arc::clone(&guests);
    thread::spawn(move || {
        for stream in echo.incoming().flatten() {
            let guests = Arc::clone(&hosts);
            guests
                .streams
                .lock()
                .expect("no panic")
                .extend(stream.try_clone());
            thread::spawn(move || guests.echo(&stream));
        }
    });
    let (stream, _) = control.accept().expect("the test");
    let mut dialled = HashMap::new();
    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        let answer = match obey(&mut dialled, &guests, &words) {
            Ok(answer) => answer,
            Err(error) => format!("error {:?}", error.kind()),
        };
        // One write: two would wait for each other's acknowledgement.
        if (&stream)
            .write_all(format!("{answer}\n").as_bytes())
            .is_err()
        {
            break;
        }
    }
    ExitCode::SUCCESS
}

fn obey(
    dialled: &mut HashMap<String, TcpStream>,
    guests: &Guests,
    words: &[&str],
) -> io::Result<String> {
    let unknown = || io::Error::from(io::ErrorKind::InvalidInput);
    match *words {
        ["dial", name, port] => {
            let port: u16 = port.parse().map_err(|_| unknown())?;
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            dialled.insert(name.into(), stream);
            Ok("ok".into())
        }
        ["dial_at", name, address] => {
            let address: SocketAddr = address.parse().map_err(|_| unknown())?;
            let stream = TcpStream::connect_timeout(&address, Duration::from_millis(700))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            dialled.insert(name.into(), stream);
            Ok("ok".into())
        }
        ["echo", name, text] => {
            let mut stream = dialled.get(name).ok_or_else(unknown)?;
            stream.write_all(text.as_bytes())?;
            let mut back = vec![0; text.len()];
            stream.read_exact(&mut back)?;
            Ok(String::from_utf8_lossy(&back).into_owned())
        }
        ["send", name, text] => {
            let mut stream = dialled.get(name).ok_or_else(unknown)?;
            stream.write_all(text.as_bytes())?;
            Ok("ok".into())
        }
        // What comes within that many milliseconds.
        ["wait", name, millis] => {
            let mut stream = dialled.get(name).ok_or_else(unknown)?;
            let limit = Duration::from_millis(millis.parse().map_err(|_| unknown())?);
            stream.set_read_timeout(Some(limit))?;
            let mut buffer = [0; 64];
            let read = stream.read(&mut buffer);
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            match read {
                Ok(read) => Ok(String::from_utf8_lossy(&buffer[..read]).into_owned()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok("silence".into()),
                Err(error) => Err(error),
            }
        }
        ["tell", text] => {
            guests.tell(text);
            Ok("ok".into())
        }
        ["heard"] => Ok(guests.heard.load(Ordering::SeqCst).to_string()),
        ["hang_up", name] => {
            dialled.remove(name).ok_or_else(unknown)?;
            Ok("ok".into())
        }
        // Blocks until the other end does something: a reset is an error.
        ["read", name] => {
            let mut stream = dialled.get(name).ok_or_else(unknown)?;
            Ok(format!("read {}", stream.read(&mut [0; 64])?))
        }
        // Sends as much, and waits for its echo.
        ["flood", name, bytes] => {
            let bytes: u64 = bytes.parse().map_err(|_| unknown())?;
            let reader = dialled.get(name).ok_or_else(unknown)?;
            let mut writer = reader.try_clone()?;
            let sending =
                thread::spawn(move || io::copy(&mut io::repeat(7).take(bytes), &mut writer));
            let back = io::copy(&mut reader.take(bytes), &mut io::sink())?;
            sending.join().map_err(|_| unknown())??;
            Ok(if back == bytes {
                "flooded"
            } else {
                "cut short"
            }
            .into())
        }
        // Sends all, closes that half, counts what comes back to the end.
        ["drain", name, bytes] => {
            let bytes: u64 = bytes.parse().map_err(|_| unknown())?;
            let mut reader = dialled.get(name).ok_or_else(unknown)?;
            let mut writer = reader.try_clone()?;
            let sending = thread::spawn(move || {
                io::copy(&mut io::repeat(7).take(bytes), &mut writer)?;
                writer.shutdown(Shutdown::Write)
            });
            let back = io::copy(&mut reader, &mut io::sink())?;
            sending.join().map_err(|_| unknown())??;
            Ok(format!("drained {}", back))
        }
        _ => Err(unknown()),
    }
}
