//! A tensor as a reader of the notebook wants it: shape, number type, device, range, and its values as a table with colours.

use std::{collections::BTreeMap, fmt::Write};

use candle_core::{DType, DeviceLocation, Result, Tensor, Var};

use crate::{Show, Shown};

/// Rows and columns shown; of more, the first and the last.
const MOST: usize = 10;
/// Most values that are read for the range; beyond it a display would keep the cell waiting.
const MOST_READ: usize = 16 << 20;
/// Colours of positive and negative values: the palette's blue and orange, which read on light and dark pages.
const POSITIVE: &str = "43,143,208";
const NEGATIVE: &str = "224,105,26";

impl Show for Tensor {
    fn shown(&self) -> Shown {
        shown("Tensor", self)
    }
}

impl Show for Var {
    fn shown(&self) -> Shown {
        shown("Var", self)
    }
}

fn shown(kind: &str, tensor: &Tensor) -> Shown {
    let facts = facts(kind, tensor);
    let mut forms = BTreeMap::from([("text/plain".to_owned(), format!("{facts}\n{tensor}"))]);
    // Values that cannot be read (a device that is gone) leave the facts and what candle prints.
    if let Ok(table) = table(tensor) {
        forms.insert(
            "text/html".to_owned(),
            format!("<div style=\"margin:2px 0 4px\">{facts}</div>{table}"),
        );
    }
    Shown::Mime(forms)
}

/// One line: `Tensor [2, 3] f32 on cpu · from -1.2 to 3.4 · mean 0.5`.
fn facts(kind: &str, tensor: &Tensor) -> String {
    let mut line =
        format!("{kind} {:?} {} on {}", tensor.dims(), tensor.dtype().as_str(), device(tensor));
    if tensor.elem_count() > MOST_READ {
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

/// The last matrix of a tensor (a vector is one row), its middle left out where it is large.
fn table(tensor: &Tensor) -> Result<String> {
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
    let (rows, columns) = match matrix.dims() {
        [] => (1, 1),
        [columns] => (1, *columns),
        [rows, columns, ..] => (*rows, *columns),
    };
    let matrix = matrix.reshape((rows, columns))?;
    let (rows, columns) = (picked(rows), picked(columns));
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

/// The values at those places; none where some are left out.
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

/// The places shown of so many, with one gap in the middle.
fn picked(count: usize) -> Vec<Option<usize>> {
    if count <= MOST {
        return (0..count).map(Some).collect();
    }
    let half = MOST / 2;
    (0..half).map(Some).chain([None]).chain((count - half..count).map(Some)).collect()
}

fn cell(value: Option<f64>, largest: f64, whole: bool) -> String {
    let Some(value) = value else {
        return "<td style=\"padding:1px 6px;text-align:center\">…</td>".to_owned();
    };
    let strength =
        if largest > 0.0 && value.is_finite() { 0.6 * value.abs() / largest } else { 0.0 };
    let colour = if value < 0.0 { NEGATIVE } else { POSITIVE };
    format!(
        "<td style=\"padding:1px 6px;text-align:right;background:rgba({colour},{strength:.2})\">{}</td>",
        number(value, whole)
    )
}

fn values(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1()
}

/// Four significant digits or so; whole numbers as they are.
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
    fn a_matrix_has_its_facts_and_coloured_values() {
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
            (MOST + 1, (MOST + 1) * (MOST + 1))
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
