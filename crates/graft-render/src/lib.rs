//! Blocks, charts, progress and failures of Graft as HTML, SVG, PNG, plain text and ANSI.
//!
//! Pure functions of data: nothing here knows Jupyter, a terminal's size or a clock. What is shown is escaped and its control characters made
//! visible, HTML carries inline styles only and stays readable when they are removed, and every picture has a twin in plain text.
//!
//! ```text
//! block.rs    one block -> Bundle          chart.rs   a run -> Chart
//! table.rs    tables                       scene.rs   Chart -> shapes, laid out once
//! failure.rs  failures with a caret        live.rs    shapes -> inline SVG in the page's colours
//! progress.rs bars and their one line      figure.rs  shapes -> SVG and PNG, by plotters
//! visible.rs  control characters -> symbols
//! ```

pub mod number;

mod ansi;
mod block;
mod chart;
mod failure;
mod figure;
mod generated;
mod heat;
mod live;
mod palette;
mod progress;
mod scene;
mod shade;
mod side_by_side;
mod table;
mod text_chart;
mod tree;
mod visible;
mod width;

pub use ansi::ansi;
pub use block::{Bundle, block, reply};
pub use chart::run_chart;
pub use failure::{Traceback, failure_traceback};
pub use figure::{FIGURE_SIZE, chart_png, chart_svg};
pub use live::live_html;
pub use progress::Progress;
pub use text_chart::chart_text;
pub use visible::{visible, visible_painted};
