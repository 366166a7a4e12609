//! The way into the local cloud's hosts, with a gateway of the test's own. The real one is tried in `local/tests`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Output, Stdio},
    thread,
};

use crate::support::{cli::Project, world::endpoint};

/// A gateway for one connection, which `serve` answers once it has read the line.
fn gateway(project: &Project, serve: impl FnOnce(&str, UnixStream) + Send + 'static) -> PathBuf {
    let place = project.path("gateway.sock");
    let listener = UnixListener::bind(&place).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        // Unbuffered, so that what comes after the line is left to `serve`.
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            (&stream).read_exact(&mut byte).unwrap();
            line.extend(byte);
        }
        serve(std::str::from_utf8(&line).unwrap(), stream);
    });
    place
}

fn connect(project: &Project, gateway: &str, input: &[u8]) -> Output {
    let arguments = ["local", "connect", "--gateway", gateway, "198.18.0.1", "22"];
    let mut command = project.command(None, &arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output
}

#[test]
fn bytes_pass_both_ways_and_each_sides_end_by_itself() {
    let project = Project::new("http://127.0.0.1:9", None);
    let place = gateway(&project, |line, mut stream| {
        assert_eq!(line, "198.18.0.1 22\n");
        // In one piece with the answer: the host may speak at once.
        stream.write_all(b"ok\nSSH-2.0-here\n").unwrap();
        let mut told = Vec::new();
        stream.read_to_end(&mut told).unwrap();
        // Answered only after the other side said that it is done.
        told.reverse();
        stream.write_all(&told).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    });
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let output = connect(&project, &place.display().to_string(), &input);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut expected = b"SSH-2.0-here\n".to_vec();
    expected.extend(input.iter().rev());
    assert!(output.stdout == expected, "{} bytes came back", output.stdout.len());
}

#[test]
fn what_comes_while_the_other_side_is_silent_is_seen_at_once() {
    // ssh's banner: it must reach a pipe while both sides wait for each other.
    let project = Project::new("http://127.0.0.1:9", None);
    let place = gateway(&project, |_, mut stream| {
        stream.write_all(b"ok\n").unwrap();
        stream.write_all(b"SSH-2.0-here\n").unwrap();
        let _ = stream.read(&mut [0]);
    });
    let place = place.display().to_string();
    let mut command = project.command(None, &["local", "connect", "--gateway", &place, "198.18.0.1", "22"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut banner = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
    assert_eq!(banner, "SSH-2.0-here\n");
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let project = Project::new("http://127.0.0.1:9", None);
    let place = gateway(&project, |_, mut stream| stream.write_all(b"error Network is unreachable\n").unwrap());
    let output = connect(&project, &place.display().to_string(), b"");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("198.18.0.1 port 22: Network is unreachable"), "{said}");

    let output = connect(&project, "gone.sock", b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("gateway at gone.sock; are they up?"), "{said}");
}

#[test]
fn without_hosts_there_is_no_network_to_run_in() {
    let project = Project::new(&endpoint(), None);
    project.run(&["local", "exec", "--", "true"]).expect(1).says(&["the local cloud"]);
    project.run(&["local", "connect", "198.18.0.1", "22"]).expect(1).says(&["no hosts"]);
    project.run(&["local", "exec"]).expect(2);
}
