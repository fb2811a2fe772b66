//! A progress bar on standard error, when a person watches it.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar over `files` files. Invisible when standard error is not a terminal.
pub fn bar(files: usize) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(files as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} files, {elapsed} gone, {eta} to go {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A bar over bytes; how many is said later. Invisible when standard error is not a terminal.
pub fn bytes() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} to go");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A turning mark with `what`, for work whose end is not in sight.
pub fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    spinner.set_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

/// A turning mark with `what` and the time it has taken so far, for work of others.
pub fn task(what: &str) -> ProgressBar {
    let task = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{spinner} {msg}, {elapsed}");
    task.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    task.set_message(what.to_owned());
    task.enable_steady_tick(Duration::from_millis(120));
    task
}
