//! Slurm on this machine alone: munged, slurmctld and slurmd with keys, configuration and spool in a folder of their own, run by this
//! user, and ended with it. The system's own services are not touched.

use crate::setup;
use crate::shell::{Result, capture};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Debian's packages, and a file of each.
const PACKAGES: [(&str, &str); 3] = [
    ("munge", "/usr/sbin/munged"),
    ("slurm-wlm", "/usr/bin/sbatch"),
    ("slurmctld", "/usr/sbin/slurmctld"),
];

/// How long daemons may take to answer, and to end.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(250);

/// Lines of each log that are printed when something went wrong.
const LOG_LINES: usize = 20;

/// Installs what is missing, unless that could start services behind somebody's back.
pub fn install() -> Result<()> {
    let missing = PACKAGES.iter().any(|(_, file)| !Path::new(file).exists());
    if missing && Path::new("/run/systemd/system").exists() {
        return Err(
            "Slurm cannot run here: Debian's packages slurm-wlm and munge are not installed, and installing them would start their \
             services on this machine; install them by hand"
                .to_owned(),
        );
    }
    setup::debian_packages(&PACKAGES).map_err(|e| format!("Slurm cannot run here: {e}"))
}

/// Clears up if this program dies before it can: waits until the pipe to it is closed, then ends the jobs and daemons that are noted in
/// the folder, the last first, and removes the folder. After an orderly end there is nothing left to do.
const JANITOR: &str = r#"
trap '' INT TERM HUP
read -r _
export SLURM_CONF="$1/slurm.conf"
if [ -s "$1/pids" ]; then
    timeout 10 scancel --user "$(id -un)"
    for _ in 1 2 3 4 5; do
        [ -n "$(timeout 5 squeue --noheader)" ] || break
        sleep 1
    done
    for pid in $(tac "$1/pids"); do
        kill "$pid" && timeout 10 tail --pid="$pid" -f /dev/null || kill -9 "$pid"
    done
fi
rm -rf "$1"
"#;

/// A private folder that is removed at the end. Short, because the path of a socket may have no more than 107 bytes.
pub struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    pub fn new() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let path = std::env::temp_dir().join(format!("ser-slurm-{}", std::process::id()));
        let make = std::fs::DirBuilder::new().mode(0o755).create(&path);
        make.map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        let mut janitor = Command::new("sh");
        janitor
            .args(["-c", JANITOR, "janitor"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for this program alone.
            .process_group(0);
        let janitor = janitor
            .spawn()
            .map_err(|e| format!("cannot start sh: {e}"))?;
        Ok(Self { path, janitor })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {e}", self.path.display());
        }
        drop(self.janitor.stdin.take());
        if let Err(e) = self.janitor.wait() {
            eprintln!("a shell is left: {e}");
        }
    }
}

/// The running daemons.
pub struct Slurm {
    folder: PathBuf,
    /// In the order of their start.
    daemons: Vec<(&'static str, Child)>,
}

impl Slurm {
    /// Starts the daemons with a configuration below `folder`, and waits until they take jobs.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut slurm = Self {
            folder: folder.to_owned(),
            daemons: Vec::new(),
        };
        match slurm.start_daemons() {
            Ok(()) => Ok(slurm),
            Err(e) => {
                slurm.explain();
                Err(format!("Slurm cannot run here: {e}"))
            }
        }
    }

    fn start_daemons(&mut self) -> Result<()> {
        use std::io::{Read, Write};
        use std::os::unix::fs::OpenOptionsExt;
        let folder = self.folder.clone();
        let at = |name: &str| folder.join(name);
        for name in ["munge", "state", "spool", "log"] {
            std::fs::create_dir(at(name)).map_err(|e| format!("cannot make {name}: {e}"))?;
        }
        let key = || -> std::io::Result<()> {
            let mut bytes = [0; 1024];
            std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            let mut options = std::fs::OpenOptions::new();
            let mut file = options
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(at("munge/key"))?;
            file.write_all(&bytes)
        };
        key().map_err(|e| format!("cannot make a key: {e}"))?;
        let configuration = configuration(&folder)?;
        std::fs::write(at("slurm.conf"), configuration)
            .map_err(|e| format!("cannot write slurm.conf: {e}"))?;

        let option = |name: &str, file: &str| format!("--{name}={}", at(file).display());
        let munge = [
            "--foreground".to_owned(),
            option("key-file", "munge/key"),
            option("socket", "munge/socket"),
            option("pid-file", "munge/pid"),
            option("log-file", "munge/log"),
            option("seed-file", "munge/seed"),
        ];
        let socket = at("munge/socket");
        self.spawn("munged", &munge)?;
        self.wait_for("munged's socket", START, |_| Ok(socket.exists()))?;
        self.spawn("slurmctld", &["-D".to_owned(), "-c".to_owned()])?;
        self.spawn("slurmd", &["-D".to_owned()])?;
        self.wait_for("an idle node", START, |slurm| {
            let mut sinfo = slurm.client("sinfo");
            sinfo
                .args(["--noheader", "--format=%T"])
                .stderr(Stdio::null());
            Ok(capture(&mut sinfo, true)?.trim() == "idle")
        })
    }

    fn spawn(&mut self, name: &'static str, arguments: &[String]) -> Result<()> {
        let log = std::fs::File::create(self.folder.join(format!("log/{name}.out")));
        let log = log.map_err(|e| format!("cannot write a log: {e}"))?;
        let child = Command::new(format!("/usr/sbin/{name}"))
            .args(arguments)
            .env("SLURM_CONF", self.folder.join("slurm.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .map_err(|e| format!("cannot start {name}: {e}"))?;
        let pid = child.id();
        println!("  {name}, process {pid}");
        self.daemons.push((name, child));
        // A line each, the last with its end too: tac joins lines otherwise.
        let pids: String = self
            .daemons
            .iter()
            .map(|(_, c)| format!("{}\n", c.id()))
            .collect();
        std::fs::write(self.folder.join("pids"), pids)
            .map_err(|e| format!("cannot write down process {pid}: {e}"))
    }

    /// A client program that talks to these daemons and no others.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("SLURM_") || text.starts_with("SBATCH_") {
                command.env_remove(&name);
            }
        }
        command.env("SLURM_CONF", self.folder.join("slurm.conf"));
        command
    }

    /// Waits for something that the daemons do, as long as they live.
    fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&Self) -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            for (name, child) in &mut self.daemons {
                if let Ok(Some(status)) = child.try_wait() {
                    return Err(format!("{name} ended ({status})"));
                }
            }
            if done(self)? {
                return Ok(());
            }
            if start.elapsed() > limit {
                return Err(format!("no {what} after {} s", limit.as_secs()));
            }
            sleep(POLL);
        }
    }

    /// The jobs that wait or run.
    fn jobs(&self) -> Result<String> {
        let mut squeue = self.client("squeue");
        squeue.args(["--noheader", "--format=%i %T %r"]);
        Ok(capture(&mut squeue, false)?.trim().to_owned())
    }

    /// Waits until no job waits or runs.
    pub fn wait_for_jobs(&self, limit: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            let jobs = self.jobs()?;
            if jobs.is_empty() {
                return Ok(());
            }
            if start.elapsed() > limit {
                let seconds = limit.as_secs();
                return Err(format!("jobs are left after {seconds} s:\n{jobs}"));
            }
            sleep(POLL);
        }
    }

    /// Whether all `tasks` of a job ended with status 0.
    pub fn must_have_completed(&self, job: usize, tasks: usize) -> Result<()> {
        let mut scontrol = self.client("scontrol");
        scontrol.args(["--oneliner", "show", "job", &job.to_string()]);
        let told = capture(&mut scontrol, false)?;
        let ended: Vec<&str> = told.lines().filter(|l| !l.trim().is_empty()).collect();
        if ended.len() != tasks {
            return Err(format!("job {job} has {} tasks, not {tasks}", ended.len()));
        }
        let well = |line: &&&str| {
            let has = |word| line.split_whitespace().any(|w| w == word);
            has("JobState=COMPLETED") && has("ExitCode=0:0")
        };
        match ended.iter().find(|line| !well(line)) {
            None => Ok(()),
            Some(line) => {
                let shown = ["JobState=", "Reason=", "ExitCode=", "StdOut="];
                let words = line.split_whitespace();
                let words = words.filter(|w| shown.iter().any(|s| w.starts_with(s)));
                let words: Vec<&str> = words.collect();
                Err(format!("job {job} did not end well: {}", words.join(" ")))
            }
        }
    }

    /// Prints the ends of all logs.
    pub fn explain(&self) {
        let mut folders = vec![self.folder.join("log"), self.folder.join("array/slurm")];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for file in entries.flatten() {
                let text = std::fs::read(file.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
                eprintln!("-- {}\n{}", file.path().display(), tail.join("\n"));
            }
        }
    }

    /// Ends jobs, then daemons, the last first.
    fn stop(&mut self) {
        if self.daemons.iter().any(|(name, _)| *name == "slurmd") {
            let cancelled = user().and_then(|user| {
                capture(self.client("scancel").args(["--user", &user]), false)?;
                self.wait_for_jobs(STOP)
            });
            if let Err(e) = cancelled {
                eprintln!("jobs may be left: {e}");
            }
        }
        while let Some((name, mut child)) = self.daemons.pop() {
            let asked = Command::new("kill").arg(child.id().to_string()).status();
            let start = Instant::now();
            let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
            while asked.is_ok() && !ended(&mut child) && start.elapsed() < STOP {
                sleep(POLL);
            }
            if !ended(&mut child)
                && let Err(e) = child.kill().and_then(|()| child.wait())
            {
                eprintln!("{name} (process {}) is left: {e}", child.id());
            }
        }
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        self.stop();
    }
}

fn user() -> Result<String> {
    Ok(capture(Command::new("id").arg("-un"), false)?
        .trim()
        .to_owned())
}

/// A cluster of this machine alone, for this user alone.
fn configuration(folder: &Path) -> Result<String> {
    // "NodeName=vm CPUs=2 … RealMemory=24031", then the time since the start.
    let hardware = capture(Command::new("/usr/sbin/slurmd").arg("-C"), false)?;
    let field = |name: &str| {
        let found = hardware
            .split_whitespace()
            .find_map(|w| w.strip_prefix(name));
        found.ok_or_else(|| format!("`slurmd -C` does not say {name}: {hardware}"))
    };
    let (node, cpus, memory) = (field("NodeName=")?, field("CPUs=")?, field("RealMemory=")?);
    let (user, at) = (user()?, folder.display());
    let [controller, daemon] = free_ports()?;
    Ok(format!(
        "ClusterName=ser
SlurmctldHost={node}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={at}/munge/socket
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/slurmd.pid
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool
SlurmctldLogFile={at}/log/slurmctld.log
SlurmdLogFile={at}/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MessageTimeout=10
MinJobAge=86400
SchedulerParameters=sched_interval=1
NodeName={node} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={node} Default=YES MaxTime=60 State=UP
"
    ))
}

/// Ports that nobody listens on.
fn free_ports() -> Result<[u16; 2]> {
    let open = || TcpListener::bind("127.0.0.1:0");
    let found = || -> std::io::Result<[u16; 2]> {
        let (a, b) = (open()?, open()?);
        Ok([a.local_addr()?.port(), b.local_addr()?.port()])
    };
    found().map_err(|e| format!("no free port: {e}"))
}
