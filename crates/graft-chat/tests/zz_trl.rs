//! temporary
use graft_chat::*;
#[test]
fn trl() {
    let dir = "/work/wt/chat/target/tpl/trl_x/trl/chat_templates";
    let chats = [
      r#"[{"role":"user","content":"hello"},{"role":"assistant","content":"good answer"}]"#,
      r#"[{"role":"user","content":"hi"},{"role":"assistant","content":"yes"},{"role":"user","content":"x"},{"role":"assistant","content":"fine"}]"#,
      r#"[{"role":"system","content":"S"},{"role":"user","content":"hi"},{"role":"assistant","content":"<think>\nhm\n</think>\n\nyes"},{"role":"user","content":"x"},{"role":"assistant","content":"<think>\nhm\n</think>\n\nfine"}]"#,
      r#"[{"role":"user","content":"w?"},{"role":"assistant","content":"","tool_calls":[{"id":"call00001","type":"function","function":{"name":"weather","arguments":{"place":"K"}}}]},{"role":"tool","name":"weather","tool_call_id":"call00001","content":"sun"},{"role":"assistant","content":"clear"}]"#,
    ];
    let special: SpecialTokens = [("bos_token","<s>"),("eos_token","</s>")].map(|(a,b)|(a.to_owned(),b.to_owned())).to_vec();
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    let (mut same, mut other) = (0, 0);
    for t in files.iter().filter(|f| f.to_str().unwrap().ends_with("_training.jinja")) {
        let base = t.to_str().unwrap().replace("_training.jinja", ".jinja");
        let Ok(b) = std::fs::read_to_string(&base) else { continue };
        let t_src = std::fs::read_to_string(t).unwrap();
        let n = t.file_stem().unwrap().to_str().unwrap();
        for (i, c) in chats.iter().enumerate() {
            let chat = Conversation::from_json(c).unwrap();
            let tt = ChatTemplate::new(n, &t_src, special.clone()).unwrap();
            let bb = ChatTemplate::new(n, &b, special.clone()).unwrap();
            let a = Loss::find(&tt, &chat, LossOn::Assistant);
            let p = Loss::find(&bb, &chat, LossOn::Assistant);
            match (a, p) {
                (Ok(a), Ok(p)) if a == p => same += 1,
                (Ok(a), Ok(p)) if a.text != p.text => println!("{n} {i}: other text"),
                (Ok(a), Ok(p)) => { other += 1; 
                    let f = |l: &Loss| l.ranges.iter().map(|r| l.text[r.clone()].to_owned()).collect::<Vec<_>>();
                    println!("{n} {i}:\n  gen {:?}\n  pre {:?}", f(&a), f(&p)); }
                (a, p) => println!("{n} {i}: {:?} | {:?}", a.map(|_|()).map_err(|e|e.to_string()), p.map(|_|()).map_err(|e|e.to_string())),
            }
        }
    }
    println!("same {same} other {other}");
}
