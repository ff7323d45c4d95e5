use super::*;

fn found(names: &[&str], columns: &[&str]) -> Result<(Shape, String), Misfit> {
    let mapping =
        Mapping::parse(&columns.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
            .expect("valid");
    let present: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
    let plan = plan(&present, &mapping)?;
    let uses = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| Some(format!("{name}={}", plan.role(index)?.name())));
    Ok((plan.shape, uses.collect::<Vec<_>>().join(" ")))
}

#[test]
fn public_data_sets_are_recognized_by_their_columns() {
    let cases: &[(&[&str], Shape, &str)] = &[
        (&["text", "label"], Shape::Labeled, "text=text label=label"),
        (&["review", "sentiment"], Shape::Labeled, "review=text sentiment=label"),
        (&["sentence", "label", "idx"], Shape::Labeled, "sentence=text label=label"),
        (&["text", "page", "split"], Shape::Text, "text=text split=split"),
        (
            &["prompt", "completion", "input"],
            Shape::Completion,
            "prompt=prompt completion=completion",
        ),
        (
            &["instruction", "input", "output", "text"],
            Shape::Completion,
            "instruction=prompt input=input output=completion",
        ),
        (
            &["instruction", "context", "response", "category"],
            Shape::Completion,
            "instruction=prompt context=input response=completion",
        ),
        (&["question", "answer"], Shape::Completion, "question=prompt answer=completion"),
        (&["prompt", "prompt_id", "messages"], Shape::Chat, "messages=messages"),
        (
            &["conversations", "tools", "system"],
            Shape::Chat,
            "conversations=messages tools=tools system=system",
        ),
        (
            &["prompt", "chosen", "rejected", "messages"],
            Shape::Preference,
            "prompt=prompt chosen=chosen rejected=rejected",
        ),
        (&["chosen", "rejected"], Shape::Preference, "chosen=chosen rejected=rejected"),
        (
            &["sentence1", "sentence2", "label", "idx"],
            Shape::Pair,
            "sentence1=text sentence2=text_pair label=label",
        ),
        (
            &["question", "sentence", "label"],
            Shape::Pair,
            "question=text sentence=text_pair label=label",
        ),
    ];
    for (names, shape, uses) in cases {
        assert_eq!(found(names, &[]), Ok((*shape, (*uses).to_owned())), "{names:?}");
    }
}

#[test]
fn given_columns_come_before_recognized_ones() {
    assert_eq!(
        found(&["text", "label", "title", "stars"], &["text:title", "label:stars"]),
        Ok((Shape::Labeled, "title=text stars=label".to_owned()))
    );
    assert_eq!(
        found(&["prompt", "chosen", "rejected"], &["prompt:prompt", "completion:chosen"]),
        Ok((Shape::Completion, "prompt=prompt chosen=completion".to_owned()))
    );
    assert_eq!(found(&["a"], &["label:a"]), Err(Misfit::Missing("text")));
    assert_eq!(
        found(&["a"], &["text:b"]),
        Err(Misfit::UnknownColumn { role: Role::Text, column: "b".to_owned() })
    );
}

#[test]
fn an_entry_that_is_not_a_role_is_refused_with_the_likely_one() {
    let problem =
        |entry: &str| Mapping::parse(&[entry.to_owned()]).expect_err("refused").to_string();
    assert_eq!(problem("text"), "`columns`: `text` is not of the form ROLE:COLUMN");
    assert_eq!(
        problem("txet:review"),
        "`columns`: `txet` is not a role; did you mean `text:review`?"
    );
    assert_eq!(
        problem("stars:label"),
        "`columns`: `stars` is not a role; did you mean `label:stars`?"
    );
    let twice = Mapping::parse(&["text:a".to_owned(), "text:b".to_owned()]).expect_err("twice");
    assert_eq!(twice.to_string(), "`columns`: `text` is given twice");
}

#[test]
fn two_columns_of_one_name_are_ambiguous_unless_one_is_exact() {
    assert_eq!(found(&["Text", "text"], &[]), Ok((Shape::Text, "text=text".to_owned())));
    assert!(matches!(found(&["text", "text"], &[]), Err(Misfit::Ambiguous { name: "text", .. })));
    assert_eq!(found(&["prompt"], &[]), Err(Misfit::Missing("completion")));
    assert_eq!(found(&["prompt", "chosen"], &[]), Err(Misfit::Missing("rejected")));
    assert_eq!(found(&["rejected"], &[]), Err(Misfit::Missing("chosen")));
}
