//! Named points of the money path at which a test kills the process, as a power cut would. Compiled out of releases.

/// Makes the points named in `FAILPOINTS` deadly, for the life of the process: first thing in `main`.
#[cfg(feature = "failpoints")]
pub fn arm() {
    std::mem::forget(fail::FailScenario::setup());
}

#[cfg(not(feature = "failpoints"))]
pub fn arm() {}

/// Dies here if `FAILPOINTS` says `<point>=return`.
#[cfg(feature = "failpoints")]
pub(crate) fn point(name: &str) {
    fail::fail_point!(name, |_| die());
}

#[cfg(not(feature = "failpoints"))]
pub(crate) fn point(_: &str) {}

/// `SIGKILL`: no unwinding, no destructors, no goodbye to the database.
#[cfg(feature = "failpoints")]
fn die() {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}
