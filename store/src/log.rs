//! Log lines on standard error: JSON, with the fields and, where there is one, the text of etcd's
//! own line, so that whoever reads etcd's logs reads these.

use std::io::Write as _;
use std::time::SystemTime;

pub use serde_json::{Value, json};

/// Writes one line. `fields` is a JSON object; its fields come after the text. A line that cannot be
/// written is lost: there is nobody to tell.
pub fn line(level: &str, message: &str, fields: &Value) {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let mut line = json!({
        "level": level,
        "ts": since.unwrap_or_default().as_secs_f64(),
        "msg": message,
    });
    if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
        line.extend(fields.clone());
    }
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// `info!("applied snapshot", "index": 7)`: a line of level info.
#[macro_export]
macro_rules! info {
    ($message:expr $(, $name:literal : $value:expr)* $(,)?) => {
        $crate::log::line("info", $message, &$crate::log::json!({ $($name: $value),* }))
    };
}

/// A line of level warn.
#[macro_export]
macro_rules! warning {
    ($message:expr $(, $name:literal : $value:expr)* $(,)?) => {
        $crate::log::line("warn", $message, &$crate::log::json!({ $($name: $value),* }))
    };
}

/// A line of level fatal; the process then ends with exit code 1.
#[macro_export]
macro_rules! fatal {
    ($message:expr $(, $name:literal : $value:expr)* $(,)?) => {{
        $crate::log::line("fatal", $message, &$crate::log::json!({ $($name: $value),* }));
        std::process::exit(1)
    }};
}
