"""What one target would not get of one conversation, by the names of the caller's own API."""

from __future__ import annotations

from sidecar.domain.call import MESSAGES, DialectName
from sidecar.translate.conversation import Conversation
from sidecar.translate.fields import TABLES
from sidecar.translate.fitting import fit
from sidecar.translate.losses import Feature, Loss, Weight
from sidecar.translate.targets import Target, abilities_of


def weigh(conversation: Conversation, source: DialectName, target: Target) -> tuple[Loss, ...]:
    """Return the losses, each once: those of every target first."""
    table = TABLES[source]
    abilities = abilities_of(target)
    losses = {loss.field: loss.weight for loss in conversation.unread}
    spelled = conversation.spelled
    lacking = fit(conversation, abilities).lacking
    for feature in Feature if lacking else ():
        if feature in lacking:
            names = table.named[feature]
            name, weight = next((each for each in names if each[0] in spelled), names[0])
            losses[name] = max(weight, losses.get(name, weight))
    if source == MESSAGES and Feature.PREFILL in conversation.features:
        # The other APIs take it, and begin a turn of their own behind it.
        name, _ = table.named[Feature.PREFILL][0]
        losses[name] = max(Weight.AVOIDABLE, losses.get(name, Weight.AVOIDABLE))
    if target.dialect == MESSAGES or not abilities.has_openai_members:
        for name, _ in conversation.shared:
            losses[name] = table.rows[name].weight or Weight.HARMLESS
    return tuple([Loss(name, weight) for name, weight in losses.items()])
