//! `%model tree`: the modules with their shapes. Equal blocks are shown once.

use graft_nn::{Layer, Site};
use graft_protocol::{Block, Reply, TreeLine};
use graft_spec::Failure;

use crate::{CommandContext, SessionState, snapshot::module_entry};

/// The module tree of the current model with its adapters.
///
/// # Errors
/// [`crate::SessionError::NoModel`].
pub fn tree(cx: &CommandContext) -> Result<Vec<TreeLine>, Failure> {
    let state = cx.state();
    let model = state.model()?;
    let mut root = Node::default();
    for site in model.loaded.model.sites() {
        root.add(site.path, leaf(&state, &site));
    }
    // A head that shares the weight of the embedding is shown only while it has an adapter.
    let head =
        model.loaded.model.tied_head().map(|head| (head.path(), leaf(&state, &Site::linear(head))));
    if let Some((path, leaf)) = head.filter(|(_, leaf)| leaf.adapted) {
        root.add(path, leaf);
    }
    let mut lines = Vec::new();
    root.write(0, &mut lines);
    Ok(lines)
}

/// The reply to `%model tree`.
pub fn reply(lines: Vec<TreeLine>) -> Reply {
    Reply::one(Block::Tree(lines))
}

/// A module: a layer, or children in the order of their first occurrence.
#[derive(Default, PartialEq)]
struct Node {
    leaf: Option<Leaf>,
    children: Vec<(String, Node)>,
}

#[derive(PartialEq)]
struct Leaf {
    note: String,
    adapted: bool,
}

fn leaf(state: &SessionState, site: &Site<'_>) -> Leaf {
    let entry = module_entry(site);
    let shape = entry.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(" × ");
    let mut adapters: Vec<String> = match site.layer {
        Layer::Linear(linear) => {
            linear.slot().names().into_iter().chain(linear.overrides().names()).collect()
        }
        Layer::Embedding(embedding) => {
            embedding.prompt().names().into_iter().chain(embedding.prefix().names()).collect()
        }
        Layer::Norm(_) => Vec::new(),
    };
    // The slots also contain the adapters of trials.
    adapters.retain(|name| state.adapter(name).is_ok());
    let mut note = format!("{} {shape}", entry.kind);
    if !adapters.is_empty() {
        note.push_str(&format!(" + {}", adapters.join(", ")));
    }
    Leaf { note, adapted: !adapters.is_empty() }
}

impl Node {
    fn add(&mut self, path: &str, leaf: Leaf) {
        let Some((name, rest)) = path.split_once('.') else {
            self.child(path).leaf = Some(leaf);
            return;
        };
        self.child(name).add(rest, leaf);
    }

    fn child(&mut self, name: &str) -> &mut Node {
        let place =
            self.children.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                self.children.push((name.to_owned(), Node::default()));
                self.children.len() - 1
            });
        &mut self.children[place].1
    }

    fn write(&self, depth: usize, lines: &mut Vec<TreeLine>) {
        let mut start = 0;
        while let Some((first, node)) = self.children.get(start) {
            let same = self.children[start..]
                .iter()
                .take_while(|(name, other)| is_number(name) && is_number(first) && other == node)
                .count()
                .max(1);
            let last = &self.children[start + same - 1].0;
            let name = if same > 1 { format!("{first}-{last}") } else { first.clone() };
            lines.push(node.line(depth, name, same));
            node.write(depth + 1, lines);
            start += same;
        }
    }

    fn line(&self, depth: usize, name: String, same: usize) -> TreeLine {
        match &self.leaf {
            Some(leaf) => TreeLine { depth, name, note: leaf.note.clone(), strong: leaf.adapted },
            None if same > 1 => {
                TreeLine { depth, name, note: format!("{same} equal blocks"), strong: false }
            }
            None => TreeLine { depth, name, note: String::new(), strong: false },
        }
    }
}

fn is_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_of(paths: &[(&str, &str)]) -> Vec<String> {
        let mut root = Node::default();
        for (path, note) in paths {
            root.add(path, Leaf { note: (*note).to_owned(), adapted: false });
        }
        let mut lines = Vec::new();
        root.write(0, &mut lines);
        lines
            .iter()
            .map(|line| {
                format!("{}{} {}", " ".repeat(line.depth), line.name, line.note)
                    .trim_end()
                    .to_owned()
            })
            .collect()
    }

    #[test]
    fn equal_blocks_are_shown_once() {
        let lines = tree_of(&[
            ("m.embed", "e"),
            ("m.layers.0.q", "8 × 8"),
            ("m.layers.1.q", "8 × 8"),
            ("m.layers.2.q", "8 × 8 + default"),
            ("head", "h"),
        ]);
        assert_eq!(
            lines,
            [
                "m",
                " embed e",
                " layers",
                "  0-1 2 equal blocks",
                "   q 8 × 8",
                "  2",
                "   q 8 × 8 + default",
                "head h"
            ]
        );
    }
}
