//! Conversations as training examples.

use graft_chat::{ChatTemplate, Conversation, LossOn};
use graft_nn::{TokenEncoder, ops::IGNORED};

use crate::{Result, TrainError, batch::Encoded};

/// Tokens and labels of a conversation, as in training, without a length limit.
///
/// The template writes the special tokens, so the tokenizer adds none, not even at the end. The
/// labels are on the text that `loss_on` selects.
///
/// # Errors
/// [`TrainError::Chat`] when the template refuses the conversation, when the text of the assistant
/// cannot be found, and when the tokenizer fails.
pub fn encode_chat(
    tokenizer: &dyn TokenEncoder,
    template: &ChatTemplate,
    chat: &Conversation,
    loss_on: LossOn,
) -> Result<Encoded> {
    let tokenize =
        |text: &str| tokenizer.encode_with_offsets(text).map_err(|error| error.to_string());
    let graft_chat::Encoded { ids, loss_mask } =
        graft_chat::encode(template, &tokenize, chat, loss_on)
            .map_err(|source| TrainError::Chat { source })?;
    let label = |(id, has_loss): (&u32, &bool)| if *has_loss { i64::from(*id) } else { IGNORED };
    let labels = ids.iter().zip(&loss_mask).map(label).collect();
    Ok(Encoded { ids, labels, class: None })
}
