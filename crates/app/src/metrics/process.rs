//! What the process itself takes, as Linux says; nothing elsewhere.

use std::fs;

use super::text::Text;

/// What Linux counts processor time in, whatever its own clock runs at.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn write(text: &mut Text) {
    if let Some(bytes) = resident_bytes() {
        let name = "process_resident_memory_bytes";
        text.family(name, "gauge", "Memory of the process.");
        text.sample(name, &[], bytes);
    }
    if let Some(seconds) = cpu_seconds() {
        let name = "process_cpu_seconds_total";
        text.family(name, "counter", "Processor time of the process.");
        text.sample(name, &[], seconds);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        text.gauge("process_open_fds", "Open files and sockets.", open.count());
    }
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

/// The fields 14 and 15 of the process's line, counted behind its name, which may hold spaces.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}
