//! strace on a running process: what it asked of the kernel, and failures that the kernel seems to give.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use crate::eventually::eventually;
use crate::process::Process;

/// An strace that is attached to a process and all of its threads; dropping it lets go.
pub struct Strace {
    process: Process,
    output: PathBuf,
}

/// One system call, from one line of output to another. Lines are in the order of events.
#[derive(Debug, Clone)]
pub struct Call {
    /// Name, arguments and result, as strace prints them.
    pub text: String,
    /// The line at which it began.
    pub began: usize,
    /// The line at which it returned; the same, unless another thread did something in between.
    pub ended: usize,
}

impl Call {
    /// The system call's name.
    pub fn name(&self) -> &str {
        self.text.split('(').next().unwrap_or_default()
    }

    /// Whether it is one that puts a file on stable storage, and did.
    pub fn is_sync(&self) -> bool {
        ["fsync", "fdatasync"].contains(&self.name()) && self.text.ends_with("= 0")
    }
}

impl Strace {
    /// Attaches to `pid` with these arguments; on return every thread is traced. Its files are put into `dir`.
    pub async fn attach(pid: u32, dir: &Path, arguments: &[&str]) -> Result<Strace> {
        let output = dir.join("strace.out");
        let log = dir.join("strace.log");
        let _ = fs::remove_file(&output);
        let _ = fs::remove_file(&log);
        let pid = pid.to_string();
        let mut all = vec!["-f", "-p", &pid];
        let path = output.display().to_string();
        all.extend(["-o", &path]);
        all.extend(arguments);
        let mut process = Process::start("strace", Path::new("strace"), all, &[], &log)?;
        eventually("strace to attach", Duration::from_secs(20), async || {
            process.check()?;
            ensure!(process.log().contains("attached"), "{}", process.log());
            Ok(())
        })
        .await?;
        Ok(Strace { process, output })
    }

    /// Lets the process go on as if nothing had been.
    pub async fn detach(mut self) -> Result<Vec<Call>> {
        self.process.signal(Signal::INT)?;
        self.process.end(Duration::from_secs(20)).await?;
        Ok(calls(&String::from_utf8_lossy(&fs::read(&self.output)?)))
    }
}

/// Reads strace's output, joining the halves of calls during which another thread made one.
fn calls(output: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut open: Vec<(&str, usize)> = Vec::new();
    for (number, line) in output.lines().enumerate() {
        let Some((thread, text)) = line.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(rest) = text.strip_prefix("<... ") {
            let Some(at) = open.iter().position(|(of, _)| *of == thread) else {
                continue;
            };
            let (_, index) = open.swap_remove(at);
            if let (Some(call), Some((_, result))) = (calls.get_mut(index), rest.split_once('>')) {
                call.text.push_str(result);
                call.ended = number;
            }
        } else {
            let (text, unfinished) = match text.strip_suffix("<unfinished ...>") {
                Some(text) => (text, true),
                None => (text, false),
            };
            if unfinished {
                open.push((thread, calls.len()));
            }
            calls.push(Call {
                text: text.trim_end().to_owned(),
                began: number,
                ended: if unfinished { usize::MAX } else { number },
            });
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_interrupted_by_another_threads_is_one_call() {
        let output = "7 fdatasync(3</d/x-wal> <unfinished ...>\n\
                      8 sendto(9<socket:[1]>, \"HTTP/1.1 201\", 12, 0, NULL, 0) = 12\n\
                      7 <... fdatasync resumed>)           = 0\n\
                      7 fsync(3</d/x-wal>) = -1 EIO (Input/output error) (INJECTED)\n";
        let calls = calls(output);
        assert_eq!(calls.len(), 3);
        assert!(calls[0].is_sync());
        assert_eq!((calls[0].began, calls[0].ended), (0, 2));
        assert_eq!(calls[1].name(), "sendto");
        assert!(!calls[2].is_sync());
    }
}
