//! The display of a tensor: shape, number type, device, range, and its values as a colored table.

use std::{collections::BTreeMap, fmt::Write};

use candle_core::{DType, DeviceLocation, Result, Tensor, Var};

use crate::{Show, Shown};

/// Rows and columns shown. Of larger tensors, the first and the last ones are shown.
const SHOWN: usize = 10;
/// Maximum number of values that are read to compute the range; larger tensors would take too long.
const MAX_VALUES_READ: usize = 16 << 20;
/// Colors of positive and negative values: blue and orange of the palette, legible on light and
/// dark backgrounds.
const POSITIVE: &str = "43,143,208";
const NEGATIVE: &str = "224,105,26";

impl Show for Tensor {
    fn shown(&self) -> Shown {
        content("Tensor", self)
    }
}

impl Show for Var {
    fn shown(&self) -> Shown {
        content("Var", self)
    }
}

fn content(kind: &str, tensor: &Tensor) -> Shown {
    let summary = summary(kind, tensor);
    let mut forms = BTreeMap::from([("text/plain".to_owned(), format!("{summary}\n{tensor}"))]);
    // If the values cannot be read (a lost device), only the text form is shown.
    if let Ok(table) = table(tensor) {
        forms.insert(
            "text/html".to_owned(),
            format!("<div style=\"margin:2px 0 4px\">{summary}</div>{table}"),
        );
    }
    Shown::Mime(forms)
}

/// One line: `Tensor [2, 3] f32 on cpu · from -1.2 to 3.4 · mean 0.5`.
fn summary(kind: &str, tensor: &Tensor) -> String {
    let mut line =
        format!("{kind} {:?} {} on {}", tensor.dims(), tensor.dtype().as_str(), device(tensor));
    if tensor.elem_count() > MAX_VALUES_READ {
        let _ = write!(line, " · {} values", tensor.elem_count());
        return line;
    }
    let Ok(values) = values(tensor) else { return line };
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let whole = tensor.dtype().is_int();
    let (low, high) =
        finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        });
    if finite.len() > 1 {
        let mean = finite.iter().sum::<f64>() / finite.len() as f64;
        let _ = write!(
            line,
            " · from {} to {} · mean {}",
            number(low, whole),
            number(high, whole),
            number(mean, false)
        );
    }
    let odd = values.len() - finite.len();
    if odd > 0 {
        let _ = write!(line, " · {odd} not finite");
    }
    line
}

fn device(tensor: &Tensor) -> String {
    match tensor.device().location() {
        DeviceLocation::Cpu => "cpu".to_owned(),
        DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

/// The last matrix of a tensor as an HTML table (a vector is one row). The middle of a large matrix
/// is left out.
fn table(tensor: &Tensor) -> Result<String> {
    let (matrix, note) = last_matrix(tensor)?;
    let (rows, columns) = match matrix.dims() {
        [] => (1, 1),
        [columns] => (1, *columns),
        [rows, columns, ..] => (*rows, *columns),
    };
    let matrix = matrix.reshape((rows, columns))?;
    let rows = shown_indices(rows);
    let columns = shown_indices(columns);
    let values = corner(&matrix, &rows, &columns)?;
    let largest = values
        .iter()
        .flatten()
        .flatten()
        .filter(|value| value.is_finite())
        .fold(0f64, |most, value| most.max(value.abs()));
    let whole = tensor.dtype().is_int();
    let mut html = format!(
        "{note}<table style=\"border-collapse:collapse;font-family:monospace;font-size:90%\">"
    );
    for row in &values {
        html.push_str("<tr>");
        row.iter().for_each(|value| html.push_str(&cell(*value, largest, whole)));
        html.push_str("</tr>");
    }
    html.push_str("</table>");
    Ok(html)
}

/// The last matrix, and a note with its indices if the tensor has other dimensions.
fn last_matrix(tensor: &Tensor) -> Result<(Tensor, String)> {
    let mut matrix = tensor.clone();
    let mut note = String::new();
    if let [outer @ .., _, _] = tensor.dims()
        && !outer.is_empty()
    {
        for _ in outer {
            matrix = matrix.get(0)?;
        }
        let _ = write!(
            note,
            "<div>[{}, .., ..] of {:?}</div>",
            vec!["0"; outer.len()].join(", "),
            tensor.dims()
        );
    }
    Ok((matrix, note))
}

/// The values at the chosen positions; `None` marks the gap.
fn corner(
    matrix: &Tensor,
    rows: &[Option<usize>],
    columns: &[Option<usize>],
) -> Result<Vec<Vec<Option<f64>>>> {
    let mut lines = Vec::new();
    for row in rows {
        let line = row.map(|row| values(&matrix.get(row)?)).transpose()?;
        let at = |column: &Option<usize>| Some(*line.as_ref()?.get((*column)?)?);
        lines.push(columns.iter().map(at).collect());
    }
    Ok(lines)
}

/// The indices shown of `count`, with a gap in the middle if there are too many.
fn shown_indices(count: usize) -> Vec<Option<usize>> {
    if count <= SHOWN {
        return (0..count).map(Some).collect();
    }
    let half = SHOWN / 2;
    (0..half).map(Some).chain([None]).chain((count - half..count).map(Some)).collect()
}

fn cell(value: Option<f64>, largest: f64, whole: bool) -> String {
    let Some(value) = value else {
        return "<td style=\"padding:1px 6px;text-align:center\">…</td>".to_owned();
    };
    let strength =
        if largest > 0.0 && value.is_finite() { 0.6 * value.abs() / largest } else { 0.0 };
    let color = if value < 0.0 { NEGATIVE } else { POSITIVE };
    format!(
        "<td style=\"padding:1px 6px;text-align:right;background:rgba({color},{strength:.2})\">{}</td>",
        number(value, whole)
    )
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

/// About four significant digits; integers in full.
fn number(value: f64, whole: bool) -> String {
    match value.abs() {
        _ if whole && value.is_finite() => format!("{value:.0}"),
        0.0 => "0".to_owned(),
        size if !size.is_finite() => value.to_string(),
        size if (1e-3..1e5).contains(&size) => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn forms(tensor: &Tensor) -> (String, String) {
        let Shown::Mime(forms) = tensor.shown() else { panic!("not MIME types") };
        (forms["text/plain"].clone(), forms["text/html"].clone())
    }

    #[test]
    fn a_matrix_has_a_summary_and_colored_values() {
        let tensor = Tensor::new(&[[1f32, -2.0], [0.5, f32::NAN]], &Device::Cpu).unwrap();
        let (plain, html) = forms(&tensor);
        assert!(
            plain.starts_with(
                "Tensor [2, 2] f32 on cpu · from -2.0000 to 1.0000 · mean -0.1667 · 1 not finite\n"
            ),
            "{plain}"
        );
        assert!(
            html.contains("rgba(224,105,26,0.60)\">-2.0000</td>")
                && html.contains("rgba(43,143,208,0.30)\">1.0000</td>"),
            "{html}"
        );
        assert_eq!(html.matches("<tr>").count(), 2);
    }

    #[test]
    fn of_a_large_tensor_the_corners_are_shown() {
        let tensor =
            Tensor::arange(0i64, 2 * 40 * 30, &Device::Cpu).unwrap().reshape((2, 40, 30)).unwrap();
        let (_, html) = forms(&tensor);
        assert!(
            html.contains("[0, .., ..] of [2, 40, 30]")
                && html.contains(">1199</td>")
                && !html.contains(">1200</td>")
        );
        assert_eq!(
            (html.matches("<tr>").count(), html.matches("<td").count()),
            (SHOWN + 1, (SHOWN + 1) * (SHOWN + 1))
        );
    }

    #[test]
    fn scalars_and_empty_tensors_are_shown_too() {
        let (plain, html) = forms(&Tensor::new(3f32, &Device::Cpu).unwrap());
        assert!(
            plain.starts_with("Tensor [] f32 on cpu\n") && html.contains(">3.0000</td>"),
            "{plain}{html}"
        );
        let (plain, _) = forms(&Tensor::zeros((0, 3), DType::F32, &Device::Cpu).unwrap());
        assert!(plain.starts_with("Tensor [0, 3] f32"), "{plain}");
    }
}
