//! Rich output in the messages of the protocol: MIME bundles, and the display sizes of images.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use graft_frontend::{Rich, RichSource};
use serde::Serialize;
use serde_json::Value;

/// A MIME bundle in the format of the protocol: JSON types as JSON, all others as text.
pub(crate) fn mime_bundle(rich: &Rich) -> BTreeMap<String, Value> {
    let value = |mime: &str, text: &str| {
        let is_json = mime == "application/json" || mime.ends_with("+json");
        let parsed = is_json.then(|| serde_json::from_str(text).ok()).flatten();
        parsed.unwrap_or_else(|| Value::String(text.to_owned()))
    };
    rich.mime.iter().map(|(mime, text)| (mime.clone(), value(mime, text))).collect()
}

/// Display size of an image, part of its `metadata`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageSize {
    width: u32,
    height: u32,
}

/// Plots of Graft have twice as many pixels as their display size, so that they are sharp on
/// high-resolution screens.
pub(crate) fn image_sizes(rich: &Rich) -> BTreeMap<String, ImageSize> {
    let png =
        matches!(rich.source, RichSource::Blocks(_)).then(|| rich.mime.get("image/png")).flatten();
    let size = png
        .and_then(|png| png_size(png))
        .map(|(width, height)| ImageSize { width: width / 2, height: height / 2 });
    size.map(|size| ("image/png".to_owned(), size)).into_iter().collect()
}

/// Reads width and height from the first 24 bytes of a PNG file, which are 32 characters of base64.
fn png_size(base64: &str) -> Option<(u32, u32)> {
    let head = STANDARD.decode(base64.get(..32)?).ok()?;
    let number = |from: usize| Some(u32::from_be_bytes(head.get(from..from + 4)?.try_into().ok()?));
    Some((number(16)?, number(20)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plots_are_displayed_at_half_their_pixels_and_images_of_the_user_are_not() {
        let block = graft_protocol::Block::Heat(vec![graft_protocol::HeatMap::of(
            "A",
            ["r 1".to_owned(), "c 1".to_owned()],
            (1, 1),
            &[1.0],
            4,
        )]);
        let plot = Rich::from_block(&block);
        assert_eq!(
            image_sizes(&plot).get("image/png"),
            Some(&ImageSize { width: 300, height: 330 })
        );
        assert!(image_sizes(&Rich { source: RichSource::Mime, ..plot }).is_empty());
    }

    #[test]
    fn json_types_are_nested_and_invalid_json_stays_text() {
        let mut rich = Rich::plain("[1]");
        rich.mime.insert("application/vnd.vegalite.v5+json".into(), "{\"a\":[1]}".into());
        rich.mime.insert("application/json".into(), "{".into());
        let bundle = mime_bundle(&rich);
        assert_eq!(bundle["text/plain"], "[1]");
        assert_eq!(bundle["application/vnd.vegalite.v5+json"]["a"][0], 1);
        assert_eq!(bundle["application/json"], "{");
    }
}
