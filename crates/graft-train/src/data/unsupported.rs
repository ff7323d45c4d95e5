//! Recognizes kinds of data sets that are not supported, by their fields, and suggests how to
//! convert them.

/// A kind of data set that is not supported.
pub(super) struct Unsupported {
    /// The kind, with its article.
    pub(super) what: String,
    /// How to convert it, with `FILE` for the name of the file.
    pub(super) hint: String,
}

/// Fields of chats.
const CHATS: [&str; 6] =
    ["messages", "conversations", "conversation", "dialog", "dialogue", "turns"];

/// Fields of instructions and answers.
const INSTRUCTIONS: [(&str, &str); 4] = [
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("input", "output"),
];

/// The kind of data set with these fields, if it is a known one. Data with a prompt or a completion
/// is neither a chat nor an instruction data set.
pub(super) fn kind_of(fields: &[String], has_prompt_or_completion: bool) -> Option<Unsupported> {
    let has = |name: &str| fields.iter().any(|field| field.trim().eq_ignore_ascii_case(name));
    if has("chosen") && has("rejected") {
        return Some(Unsupported {
            what: "a preference data set (`chosen`, `rejected`)".to_owned(),
            hint: "keep the chosen answers as prompt and completion: preference training (DPO) is not supported".to_owned(),
        });
    }
    if has_prompt_or_completion {
        return None;
    }
    if let Some(field) = CHATS.into_iter().find(|name| has(name)) {
        return Some(chat(field));
    }
    let (prompt, completion) =
        INSTRUCTIONS.into_iter().find(|(prompt, completion)| has(prompt) && has(completion))?;
    Some(instruction(prompt, completion, has("input")))
}

/// A chat data set with the messages in `field`.
pub(super) fn chat(field: &str) -> Unsupported {
    // Everything before the first answer is the prompt: system message and question.
    let by_role = |role: &str, answer: &str, content: &str| {
        let turns = format!("(.{field} | map(.{role}) | index(\"{answer}\")) as $i");
        format!(
            "{turns} | {{prompt: (.{field}[:$i] | map(.{content}) | join(\"\\n\")), completion: (\" \" + .{field}[$i].{content})}}"
        )
    };
    let program = match field {
        "prompt" | "completion" => "{prompt: (.prompt | map(.content) | join(\"\\n\")), completion: (\" \" + .completion[0].content)}".to_owned(),
        "conversations" => by_role("from", "gpt", "value"),
        _ => by_role("role", "assistant", "content"),
    };
    Unsupported {
        what: format!("a chat data set (`{field}`)"),
        hint: format!(
            "write each example as prompt and completion, for example: jq -c '{program}' 'FILE' > pairs.jsonl, then %data load pairs.jsonl"
        ),
    }
}

fn instruction(prompt: &str, completion: &str, has_input: bool) -> Unsupported {
    let value = match prompt {
        "instruction" if has_input => {
            "([.instruction, .input] | map(select(. != null and . != \"\")) | join(\"\\n\"))"
                .to_owned()
        }
        plain => format!(".{plain}"),
    };
    let program = format!("{{prompt: {value}, completion: (\" \" + .{completion})}}");
    Unsupported {
        what: format!("an instruction data set (`{prompt}`, `{completion}`)"),
        hint: format!(
            "name the columns prompt and completion; for JSON Lines: jq -c '{program}' 'FILE' > pairs.jsonl, then %data load pairs.jsonl"
        ),
    }
}
