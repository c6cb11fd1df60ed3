//! Named points of the money path at which a test kills the process, as a power cut would. Compiled out of releases.

/// Makes the points named in `FAILPOINTS` deadly, for the life of the process: first thing in `main`.
pub fn arm() {
    #[cfg(feature = "failpoints")]
    std::mem::forget(fail::FailScenario::setup());
}

/// Dies here if `FAILPOINTS` says `<point>=return`.
pub(crate) fn point(name: &str) {
    fail::fail_point!(name, |_| die());
}

/// `SIGKILL`: no unwinding, no destructors, no goodbye to the database.
#[cfg(feature = "failpoints")]
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}
