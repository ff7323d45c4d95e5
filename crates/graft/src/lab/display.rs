//! Showing tables, figures and other content below a cell.

use graft_protocol::Event;

use crate::{DisplayHandle, Drawing, Html, Lab, Painted, Result, Show, Svg, drawing};

impl Lab {
    /// Shows a value below the cell while it runs: a tensor, a table, a chart, a generated text, or
    /// content such as [`Html`], [`Svg`], [`Png`](crate::Png), [`Markdown`](crate::Markdown) and
    /// [`Latex`](crate::Latex). The handle can replace it later. A program without a notebook
    /// prints the text form.
    ///
    /// # Examples
    /// ```
    /// use graft::{Markdown, prelude::*};
    ///
    /// let mut table = Table::new("losses", &["run", "#loss"]);
    /// table.row(&["lora-001", "2.41"]);
    /// lab().display(&table);
    ///
    /// let status = lab().display(&Markdown("**running**".into()));
    /// status.update(&Markdown("done".into()));
    /// ```
    pub fn display<T: Show + ?Sized>(&self, item: &T) -> DisplayHandle {
        DisplayHandle::open(self, item.shown())
    }

    /// Shows HTML. The handle can replace it later. The caller must escape text from other sources.
    pub fn display_html(&self, html: &str) -> DisplayHandle {
        self.display(&Html(html.to_owned()))
    }

    /// Draws with plotters on an area of `width` by `height` pixels and shows the figure as SVG.
    ///
    /// # Errors
    /// `graft::drawing`, with the error of the closure. Nothing is shown then.
    ///
    /// # Examples
    /// ```
    /// use graft::{plotters::prelude::*, prelude::*};
    ///
    /// # fn main() -> graft::Result<()> {
    /// lab().draw(640, 360, |area| {
    ///     area.fill(&WHITE)?;
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn draw(
        &self,
        width: u32,
        height: u32,
        paint: impl FnOnce(&Drawing<'_>) -> Painted,
    ) -> Result<DisplayHandle> {
        drawing::svg((width, height), paint).map(|svg| self.display(&Svg(svg)))
    }

    /// Clears the output of the cell at once.
    pub fn clear_output(&self) {
        self.emit(Event::ClearOutput { wait: false });
    }

    /// Clears the output of the cell when the next output arrives, so that the page does not
    /// flicker.
    pub fn clear_output_on_next(&self) {
        self.emit(Event::ClearOutput { wait: true });
    }
}
