//! One program under supervision: its log, its signals, and that it never outlives us.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};

type Order = (Command, Sender<io::Result<Child>>);

/// The kernel sends the parent-death signal when the *thread* that started the child ends, so one thread that lives as
/// long as this process starts them all.
static STARTER: LazyLock<Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    thread::spawn(move || {
        for (mut command, reply) in inbox {
            // Who gave up waiting needs no answer.
            let _ = reply.send(command.spawn());
        }
    });
    orders
});

/// util-linux' `setpriv`, where there is one: with it, children die with us even if we are killed with SIGKILL.
static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join("setpriv"))
        .find(|path| path.is_file())
});

/// A running program. Dropping it kills it and its process group.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; what it prints is appended to `log`.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
        environment: &[(&str, &str)],
        log: &Path,
    ) -> Result<Process> {
        let mut command = match SETPRIV.as_deref() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("{}", log.display()))?;
        command
            .args(arguments.into_iter().map(Into::into))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        let (reply, answer) = channel();
        STARTER.send((command, reply)).context("starter thread")?;
        let child = answer
            .recv()
            .context("starter thread")?
            .with_context(|| format!("{name}: {}", program.display()))?;
        Ok(Process {
            name: name.to_owned(),
            child,
            log: log.to_owned(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id")
    }

    /// Fails, with the end of its log, if it has ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended: {status}\n{}", self.name, self.log_tail(15)),
        }
    }

    /// Sends one signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid()?, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// Makes it stand still (SIGSTOP), and waits until every thread does: one that runs on another processor may go on
    /// for some milliseconds after the signal was sent.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        waitid(WaitId::Pid(self.pid()?), WaitIdOptions::STOPPED)
            .with_context(|| format!("{} does not stand still", self.name))?;
        Ok(())
    }

    /// Lets it go on (SIGCONT) after a [`pause`](Self::pause).
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            kill_process_group(self.pid()?, Signal::KILL)?;
            self.child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end (SIGTERM) and waits; one that has not ended in time is killed, and that is an error.
    pub async fn end(&mut self, patience: Duration) -> Result<ExitStatus> {
        if self.child.try_wait()?.is_none() {
            self.signal(Signal::TERM)?;
        }
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > patience {
                self.kill()?;
                bail!("{} did not end {patience:?} after SIGTERM", self.name);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let skipped = log.lines().count().saturating_sub(lines);
        log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// The processor time of its threads so far, user and system, as soon as none of them is at work: what the kernel
    /// says of one that is may be some milliseconds old.
    pub fn cpu_time(&self) -> Result<Duration> {
        loop {
            match self.cpu_time_at_rest()? {
                Some(time) => return Ok(time),
                None => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// By `schedstat`, which counts nanoseconds; `stat` would count ticks of 10 ms. None if a thread is at work.
    fn cpu_time_at_rest(&self) -> Result<Option<Duration>> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            let task = task?.path();
            let read = |file| {
                let path = task.join(file);
                fs::read_to_string(&path).with_context(|| format!("{}", path.display()))
            };
            // The name before it may be anything, parentheses included.
            if read("stat")?
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" R"))
            {
                return Ok(None);
            }
            let times = read("schedstat")?;
            let time = times.split(' ').next().unwrap_or_default();
            sum += time.parse::<u64>().with_context(|| times.clone())?;
        }
        Ok(Some(Duration::from_nanos(sum)))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// The most resident memory that there was since its start, or since [`forget_peak`](Self::forget_peak).
    pub fn peak(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    /// The peak is counted from now on (proc(5), `clear_refs`).
    pub fn forget_peak(&self) -> Result<()> {
        let path = format!("/proc/{}/clear_refs", self.id());
        fs::write(&path, "5").context(path)
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.id()))?.count())
    }

    /// The processor time so far of all threads, also of those that have ended, in ticks of 10 ms: for what keeps busy.
    pub fn cpu_ticks(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id()))?;
        // The name before it may be anything, parentheses included.
        let rest = stat.rsplit(')').next().unwrap_or_default();
        let times = rest.split_whitespace().skip(11).take(2);
        let ticks: Result<Vec<u64>, _> = times.map(str::parse).collect();
        Ok(Duration::from_millis(ticks?.iter().sum::<u64>() * 10))
    }

    fn status(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .with_context(|| name.to_owned())?
            .trim()
            .parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing is left to do about one that can't be killed.
        let _ = self.kill();
    }
}
