//! The lab: one handle on the session that magics and cells share.

use std::sync::{Arc, OnceLock};

use graft_protocol::{Command, Event};
use graft_session::{CommandContext, Session, State, verbs};
use graft_spec::Failure;

use crate::{
    Ablate, Chart, Comparison, Data, DataOptions, Device, DisplayHandle, Drawing, Error, Eval,
    Evaluation, Generate, Generated, Html, Markdown, MemoryOptions, Model, ModelOptions, Painted,
    Plot, Png, Result, Run, Runs, Show, Svg, Table, Train, drawing, link, standalone::Standalone,
};

static LAB: OnceLock<Lab> = OnceLock::new();

/// The session of this process: the one the magics work on or, in a program without a notebook, one of its own that prints its news.
pub fn lab() -> Lab {
    LAB.get_or_init(|| Lab::of(Session::new(Arc::new(Standalone)))).clone()
}

/// A handle on the session. Copies are the same session; what reads answers at once, what changes or takes long waits its turn
/// behind the running job and can be interrupted like a magic.
#[derive(Clone)]
pub struct Lab {
    pub(crate) session: Arc<Session>,
}

impl Lab {
    pub(crate) fn of(session: Arc<Session>) -> Self {
        Self { session }
    }

    /// Makes `session` the one that [`lab()`] gives; false when there is one already.
    pub(crate) fn install(session: Arc<Session>) -> bool {
        LAB.set(Self::of(session)).is_ok()
    }

    /// Loads a model (`tiny`, a Hugging Face folder, `ORG/NAME`) and makes it the current one.
    ///
    /// # Errors
    /// When it cannot be found or read; the model before stays.
    pub fn load_model(&self, source: &str) -> Result<Model> {
        self.load_model_with(source, ModelOptions::new())
    }

    /// [`Lab::load_model`] with keys.
    ///
    /// # Errors
    /// As [`Lab::load_model`].
    pub fn load_model_with(&self, source: &str, options: ModelOptions) -> Result<Model> {
        let source = source.to_owned();
        let report = self.job("loading a model", move |desk| {
            verbs::model::load(desk, &source, &options.into())
        })?;
        Ok(Model::new(self.clone(), report.model))
    }

    /// The current model.
    ///
    /// # Errors
    /// `session::no_model`.
    pub fn model(&self) -> Result<Model> {
        let model = self.state().model().map_err(Failure::from)?;
        Ok(Model::new(self.clone(), model))
    }

    /// Loads a built-in data set (`which-book`, `error-codes`, `rust-docs`) or a jsonl, csv or txt file and makes it the current one.
    ///
    /// # Errors
    /// When it cannot be found or read.
    pub fn load_data(&self, source: &str) -> Result<Data> {
        self.load_data_with(source, DataOptions::new())
    }

    /// [`Lab::load_data`] with keys.
    ///
    /// # Errors
    /// As [`Lab::load_data`].
    pub fn load_data_with(&self, source: &str, options: DataOptions) -> Result<Data> {
        let source = source.to_owned();
        self.job("loading data", move |desk| verbs::data::load(desk, &source, &options.into()))
            .map(Data::new)
    }

    /// Reads examples from a text, as `%%data` does, and makes them the current data set.
    ///
    /// # Errors
    /// When the text is not in a known format.
    pub fn data_inline(&self, name: &str, text: &str) -> Result<Data> {
        self.data_inline_with(name, text, DataOptions::new())
    }

    /// [`Lab::data_inline`] with keys.
    ///
    /// # Errors
    /// As [`Lab::data_inline`].
    pub fn data_inline_with(&self, name: &str, text: &str, options: DataOptions) -> Result<Data> {
        let (name, text) = (name.to_owned(), text.to_owned());
        self.job("reading data", move |desk| {
            verbs::data::inline(desk, &name, &text, &options.into())
        })
        .map(Data::new)
    }

    /// The data set of that name; the current one without a name.
    ///
    /// # Errors
    /// `session::no_data`, `session::unknown_data`.
    pub fn data(&self, name: Option<&str>) -> Result<Data> {
        Ok(Data::new(self.state().data(name).map_err(Failure::from)?))
    }

    /// The first `rows` examples of each split of a data set; of the current one without a name.
    ///
    /// # Errors
    /// As [`Lab::data`].
    pub fn show_data(&self, name: Option<&str>, rows: usize) -> Result<Table> {
        self.read(|desk| verbs::data::show(desk, name, rows)).map(Table::from)
    }

    /// Makes a data set the current one.
    ///
    /// # Errors
    /// `session::unknown_data`.
    pub fn use_data(&self, name: &str) -> Result<Data> {
        let name = name.to_owned();
        self.job("changing the data", move |desk| verbs::data::choose(desk, &name)).map(Data::new)
    }

    /// Trains the adapter in use on the current data, under a live plot.
    ///
    /// # Errors
    /// When there is no model, adapter or data; when the loss is no longer finite; `session::interrupted` when it was stopped.
    pub fn train(&self, options: Train) -> Result<Run> {
        self.job("training", move |desk| verbs::train::train(desk, None, &options.into()))
            .map(Run::new)
    }

    /// Trains the adapter in use in the background and says how its run is called; cells stay free meanwhile. See [`Lab::jobs`], [`Lab::watch`] and
    /// [`Lab::stop`].
    ///
    /// # Errors
    /// When it cannot begin, as [`Lab::train`]; `session::background` while another training is there.
    pub fn train_in_background(&self, options: Train) -> Result<String> {
        self.begin(Command::Train { attach: None, settings: options.into() })
    }

    /// [`Lab::resume_with`] in the background.
    ///
    /// # Errors
    /// As [`Lab::resume`] and [`Lab::train_in_background`].
    pub fn resume_in_background(&self, run: Option<&str>, options: Train) -> Result<String> {
        self.begin(Command::Resume { run: run.map(str::to_owned), settings: options.into() })
    }

    /// [`Lab::ablate`] in the background, and its name there: `watch` shows how it stands, [`Lab::stop_trial`] and [`Lab::clone_trial`] change it.
    ///
    /// # Errors
    /// When it cannot begin, as [`Lab::ablate`].
    pub fn ablate_in_background(&self, grid: Ablate) -> Result<String> {
        let Ablate { methods, keys } = grid;
        self.begin(Command::Ablate { methods, keys })
    }

    /// [`Lab::forgetting`] in the background, and its name there.
    ///
    /// # Errors
    /// When it cannot begin, as [`Lab::forgetting`].
    pub fn forgetting_in_background(&self, grid: Ablate) -> Result<String> {
        let Ablate { methods, keys } = grid;
        self.begin(Command::Forgetting { methods, keys })
    }

    /// Gives up a configuration, by its number from 1, of the comparison in the background at its next turn.
    ///
    /// # Errors
    /// `session::no_comparison` when none runs there, `ablate::no_trial` for a number that there is not.
    pub fn stop_trial(&self, number: usize) -> Result<String> {
        self.read(|desk| verbs::trial::stop(desk, number))
    }

    /// Adds a configuration like number `number` but for `keys` to the comparison in the background, or to the last one, which is then shown with it.
    ///
    /// # Errors
    /// `session::no_comparison` when nothing was compared, for a number or a key that there is not, and as [`Lab::ablate`].
    pub fn clone_trial<K: AsRef<str>, V: AsRef<str>>(
        &self,
        number: usize,
        keys: &[(K, V)],
    ) -> Result<()> {
        let keys = keys
            .iter()
            .map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned()))
            .collect();
        let reply = self.session.execute(Command::TrialClone { number, keys })?;
        reply.blocks.into_iter().for_each(|block| self.session.emit(Event::Block(block)));
        Ok(())
    }

    fn begin(&self, command: Command) -> Result<String> {
        link::meet();
        let begun = self.session.begin(command).map_err(Error::from);
        link::meet();
        begun.and_then(|_| Ok(self.read(|desk| Ok(verbs::jobs::newest(desk)))?.unwrap_or_default()))
    }

    /// The trainings that run, or have run, in the background.
    ///
    /// # Errors
    /// None yet.
    pub fn jobs(&self) -> Result<Table> {
        self.read(verbs::jobs::table).map(Table::from)
    }

    /// Ends the training in the background at its next step and says what became of it; everything is kept.
    ///
    /// # Errors
    /// `session::background` when nothing trains there.
    pub fn stop(&self) -> Result<String> {
        self.read(verbs::jobs::stop)
    }

    /// Shows the live curve of a run until it ends: of the one in the background, or of the one named.
    ///
    /// # Errors
    /// `session::unknown_run`; `session::interrupted` when the watching was stopped, which stops nothing else.
    pub fn watch(&self, run: Option<&str>) -> Result<()> {
        link::meet();
        let watched = self.session.attend("watching", |desk| verbs::jobs::watch(desk, run));
        link::meet();
        watched.map(drop).map_err(Error::from)
    }

    /// Continues a run from its last checkpoint; the last run without a name.
    ///
    /// # Errors
    /// `session::unknown_run`, and as [`Lab::train`].
    pub fn resume(&self, run: Option<&str>) -> Result<Run> {
        self.resume_with(run, Train::new())
    }

    /// [`Lab::resume`] with keys that replace those of the run.
    ///
    /// # Errors
    /// As [`Lab::resume`].
    pub fn resume_with(&self, run: Option<&str>, options: Train) -> Result<Run> {
        let run = run.map(str::to_owned);
        self.job("resuming a training", move |desk| {
            verbs::resume::resume(desk, run.as_deref(), &options.into())
        })
        .map(Run::new)
    }

    /// Scores the adapter in use, the untuned base and the majority class.
    ///
    /// # Errors
    /// When there is no model or data; `session::interrupted` when it was stopped.
    pub fn eval(&self, options: Eval) -> Result<Evaluation> {
        self.look("evaluating", move |desk| verbs::eval::eval(desk, &options.into()))
            .map(Evaluation::new)
    }

    /// Trains every combination of a grid on the current data and compares them; adapters stay as they are. The table has the base, the
    /// configurations and what may be said of them.
    ///
    /// # Errors
    /// When the grid cannot be meant, there is no model or data, or no trial succeeds.
    pub fn ablate(&self, grid: Ablate) -> Result<Table> {
        self.job("comparing configurations", move |desk| {
            verbs::ablate::ablate(desk, &grid.methods, &grid.keys)
        })
        .map(|compared| Table::from(compared.table))
    }

    /// Trains the methods of a grid and compares what each forgets of the base's own domain; without methods, measures what is attached. The key
    /// `domain` names text like that the model was trained on: a data set or a file (for `tiny` it is known).
    ///
    /// # Errors
    /// As [`Lab::ablate`], and when nobody says what the model knew before.
    pub fn forgetting(&self, grid: Ablate) -> Result<Table> {
        self.job("measuring what is forgotten", move |desk| {
            verbs::forgetting::forgetting(desk, &grid.methods, &grid.keys)
        })
        .map(|compared| Table::from(compared.table))
    }

    /// Continues a prompt; `println!` or the end of a cell shows the text.
    ///
    /// # Errors
    /// When there is no model or the prompt does not fit; `session::interrupted` when it was stopped.
    pub fn generate(&self, prompt: &str, options: Generate) -> Result<Generated> {
        let prompt = prompt.to_owned();
        self.look("generating", move |desk| {
            verbs::generate::quietly(desk, &prompt, &options.into())
        })
        .map(Generated::new)
    }

    /// Continues a prompt twice, with the base and with the adapter in use.
    ///
    /// # Errors
    /// As [`Lab::generate`], and when no adapter is in use.
    pub fn compare(&self, prompt: &str, options: Generate) -> Result<Comparison> {
        let prompt = prompt.to_owned();
        self.look("comparing", move |desk| verbs::compare::compare(desk, &prompt, &options.into()))
            .map(Comparison::new)
    }

    /// Seed of everything random that has no seed of its own.
    pub fn seed(&self) -> u64 {
        self.state().seed
    }

    /// Sets the seed.
    ///
    /// # Errors
    /// When the session is closing.
    pub fn set_seed(&self, seed: u64) -> Result<()> {
        self.job("setting the seed", move |desk| verbs::seed::seed(desk, Some(seed))).map(drop)
    }

    /// The device that holds the session's tensors; make yours on it.
    pub fn device(&self) -> Device {
        self.state().device.clone()
    }

    /// The device in words.
    pub fn device_name(&self) -> String {
        graft_nn::device::describe(&self.state().device)
    }

    /// Changes the device; the model is loaded again on it.
    ///
    /// # Errors
    /// When this build or machine has no such device.
    pub fn set_device(&self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.job("changing the device", move |desk| verbs::device::device(desk, Some(&name)))
            .map(drop)
    }

    /// The runs on disk, newest first: their names, and the weights that they have kept.
    pub fn runs(&self) -> Runs {
        Runs::new(self.clone(), self.state().runs.clone())
    }

    /// A row for each run on disk, the newest first.
    ///
    /// # Errors
    /// None today.
    pub fn run_table(&self) -> Result<Table> {
        self.read(verbs::runs::table).map(Table::from)
    }

    /// Settings and course of one run; none is the last one.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn run_facts(&self, run: Option<&str>) -> Result<Table> {
        self.read(|desk| verbs::runs::facts(desk, run)).map(Table::from)
    }

    /// What differs between two runs, in settings and in result.
    ///
    /// # Errors
    /// When there is no such run.
    pub fn compare_runs(&self, one: &str, other: &str) -> Result<Table> {
        self.read(|desk| verbs::runs::difference(desk, one, other)).map(Table::from)
    }

    /// The curves of runs in one picture; without names those of the newest.
    ///
    /// # Errors
    /// When there is no such run, or more than can be told apart.
    pub fn plot_runs<S: AsRef<str>>(&self, runs: &[S], options: Plot) -> Result<Chart> {
        let runs: Vec<String> = runs.iter().map(|run| run.as_ref().to_owned()).collect();
        self.read(|desk| verbs::runs::plot(desk, &runs, &options.into())).map(Chart::from)
    }

    /// Writes a run into a file: .csv has the steps, .json everything, .graft the magics that train it again.
    ///
    /// # Errors
    /// When there is no such run, for another ending, or when the file cannot be written.
    pub fn export_run(&self, run: &str, file: &str) -> Result<()> {
        self.read(|desk| verbs::runs::export(desk, run, std::path::Path::new(file))).map(drop)
    }

    /// Shows what the adapter in use does to the weights: how far each layer has moved, and pictures of one, the one named or the one that has moved most;
    /// of a soft prompt its nearest words.
    ///
    /// # Errors
    /// When there is no adapter, it changes no layer of that name, or no weights at all.
    pub fn show_weights(&self, module: Option<&str>) -> Result<()> {
        let module = module.map(str::to_owned);
        let reply = self.look("looking at the weights", move |desk| {
            verbs::weights::weights(desk, module.as_deref())
        })?;
        reply.blocks.into_iter().for_each(|block| self.session.emit(Event::Block(block)));
        Ok(())
    }

    /// Model, adapters, data, runs, seed, device and memory.
    ///
    /// # Errors
    /// None today.
    pub fn status(&self) -> Result<Table> {
        self.read(|desk| Ok(verbs::status::table(desk))).map(Table::from)
    }

    /// What training the adapter in use would take, part by part, beside full fine-tuning; with a name, LoRA on that published model.
    ///
    /// # Errors
    /// When no model is loaded or no adapter acts; for a name, when it is not known.
    pub fn memory(&self, of: Option<&str>, options: MemoryOptions) -> Result<Table> {
        let of = of.map(str::to_owned);
        self.glance("predicting memory", move |desk| {
            verbs::memory::table(desk, of.as_deref(), &options.into())
        })
        .map(Table::from)
    }

    /// Shows something below the cell, while it runs: a tensor, a table, a chart, a generated text, or content made by hand (`Html`,
    /// `Svg`, `Png`, `Markdown`, `Latex`, `Json`, `VegaLite`, `Mime`). The handle can put something else in its place later.
    pub fn display<T: Show + ?Sized>(&self, item: &T) -> DisplayHandle {
        DisplayHandle::open(self, item.shown())
    }

    /// Shows HTML; the handle can replace it later. What comes from outside must be escaped by the caller.
    pub fn display_html(&self, html: &str) -> DisplayHandle {
        self.display(&Html(html.to_owned()))
    }

    /// Shows an SVG drawing, such as plotters makes; the handle can replace it later.
    pub fn display_svg(&self, svg: &str) -> DisplayHandle {
        self.display(&Svg(svg.to_owned()))
    }

    /// Shows Markdown; the handle can replace it later.
    pub fn display_markdown(&self, markdown: &str) -> DisplayHandle {
        self.display(&Markdown(markdown.to_owned()))
    }

    /// Shows a PNG image; the handle can replace it later.
    pub fn display_png(&self, bytes: &[u8]) -> DisplayHandle {
        self.display(&Png(bytes.to_vec()))
    }

    /// Draws with plotters and shows the drawing as SVG: `lab().draw(640, 360, |area| { area.fill(&WHITE)?; Ok(()) })?`. Sizes in pixels.
    ///
    /// # Errors
    /// `graft::drawing`, with what the closure met; nothing is shown then.
    pub fn draw(
        &self,
        width: u32,
        height: u32,
        paint: impl FnOnce(&Drawing<'_>) -> Painted,
    ) -> Result<DisplayHandle> {
        drawing::svg((width, height), paint).map(|svg| self.display(&Svg(svg)))
    }

    /// Clears the output of the cell; with `wait` only when the next output arrives.
    pub fn clear_output(&self, wait: bool) {
        self.tell(Event::ClearOutput { wait });
    }

    /// Tells the host in order with what the cell prints.
    pub(crate) fn tell(&self, event: Event) {
        link::meet();
        self.session.emit(event);
        link::meet();
    }

    pub(crate) fn state(&self) -> Arc<State> {
        self.session.state()
    }

    pub(crate) fn job<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        link::meet();
        let result = self.session.perform(label, work);
        link::meet();
        result.map_err(Error::from)
    }

    /// Reads the model: also while something trains in the background, between two of its steps.
    pub(crate) fn look<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        link::meet();
        let result = self.session.look(label, work);
        link::meet();
        result.map_err(Error::from)
    }

    /// Reads in a moment what the model has attached or computes, on this thread unless a job has the model.
    pub(crate) fn glance<T: Send + 'static>(
        &self,
        label: &str,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure> + Send + 'static,
    ) -> Result<T> {
        self.session.glance(label, work).map_err(Error::from)
    }

    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&CommandContext) -> std::result::Result<T, Failure>,
    ) -> Result<T> {
        self.session.read(work).map_err(Error::from)
    }
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status() {
            Ok(status) => write!(f, "{status}"),
            Err(error) => write!(f, "{error}"),
        }
    }
}
