//! The font of every figure: DejaVu Sans, reduced to Latin, Greek, Cyrillic and symbols. Host and
//! cells draw with it and need no fonts of the system.

use std::sync::Once;

use plotters::style::{FontStyle, register_font};

static REGULAR: &[u8] = include_bytes!("../assets/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../assets/DejaVuSans-Bold.ttf");

/// Registers the font with plotters as `sans-serif`. Later calls have no effect.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for (style, bytes) in [(FontStyle::Normal, REGULAR), (FontStyle::Bold, BOLD)] {
            register_font("sans-serif", style, bytes).ok();
        }
    });
}

#[cfg(test)]
mod tests {
    use plotters::style::{FontDesc, FontFamily};

    use super::*;

    #[test]
    fn the_bundled_font_is_found_and_has_width() {
        register();
        for style in [FontStyle::Normal, FontStyle::Bold] {
            let (width, _) =
                FontDesc::new(FontFamily::SansSerif, 20.0, style).box_size("loss ×").unwrap();
            assert!(width > 40, "{width}");
        }
    }
}
