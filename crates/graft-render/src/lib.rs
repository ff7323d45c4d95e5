//! Draws blocks, charts, progress and failures as HTML, SVG, PNG, plain text and ANSI.
//!
//! All functions are pure: they depend on neither Jupyter, the size of a terminal nor a clock.
//! Texts are escaped, and their control characters are replaced by visible symbols. HTML has inline
//! styles only and stays readable without them, and every figure has a plain-text form.
//!
//! ```text
//! block.rs    one block -> Bundle          chart.rs   a run -> Chart
//! table.rs    tables                       scene.rs   Chart -> shapes, laid out once
//! failure.rs  failures with a caret        live.rs    shapes -> inline SVG in the page's colors
//! progress.rs bars and their one line      figure.rs  shapes -> SVG and PNG, by plotters
//! visible.rs  control characters -> symbols
//! ```

pub mod number;

mod ansi;
mod block;
mod chart;
mod checks;
mod confusion;
mod failure;
mod figure;
mod generated;
mod heat;
mod live;
mod paint;
mod palette;
mod progress;
mod scene;
mod shade;
mod side_by_side;
mod table;
mod text_chart;
mod tokens;
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
