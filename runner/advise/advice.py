"""The answer: use this draft with this gamma, or leave speculation off and why."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from runner.advise.breakeven import BreakEven, Remedy, at_break_even, remedies
from runner.advise.budget import Budget
from runner.advise.investigate import Findings, OpenPair, Tell, investigate
from runner.advise.predict import WORTHWHILE, Interval, Prediction
from runner.advise.question import Question, is_model
from runner.advise.verify import Verification
from runner.errors import StudyError, UsageError
from runner.record import NO_DRAFT


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that was tried: predicted beside verified."""

    predicted: Prediction
    concluded: Prediction
    """The same predicted again, once the verifying runs were known."""
    verified: Verification | None

    @property
    def agrees(self) -> bool | None:
        """Whether the verified S lies in the predicted interval; None when it was not verified."""
        return None if self.verified is None else self.predicted.speedup.holds(self.verified.speedup)

    @property
    def is_usable(self) -> bool:
        """Whether nothing speaks against it: it was not given up on the way, and its text is the baseline's."""
        return self.verified is None or (self.verified.finalist and not self.has_broken_text)

    @property
    def has_broken_text(self) -> bool:
        """Whether the text of a run was not the baseline's."""
        return self.verified is not None and self.verified.broken_texts > 0

    @property
    def is_undecided(self) -> bool:
        """Whether it was run, too little to say whether what was expected of it is so."""
        return self.verified is not None and self.gain is None and self.predicted.may_pay

    @property
    def gain(self) -> Interval | None:
        """S as measured; None where it was not, or in too few pairs for an interval."""
        return None if self.verified is None else self.verified.interval

    @property
    def expected(self) -> Interval:
        """S as measured where pairs allow an interval, else as predicted."""
        return self.gain or self.predicted.speedup


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do about one target, and what that rests on."""

    target: str
    use: bool
    best: Compared
    """The best configuration found, worth using or not."""
    explained: Compared
    """Whose costs the break-even values are about: the best draft model, where one was tried."""
    t1_ms: float
    draft_step_ms: float
    """Drafting time per drafted token inside the loop, of the explained draft model; 0 for n-gram lookup."""
    keeps_snapshots: bool
    remedies: list[Remedy]
    """What would help the explained drafter, most helpful first."""
    break_even: BreakEven
    compared: list[Compared]
    predictions: list[Prediction]
    not_measured: list[str]
    n_prompts: int
    n_predict_tokens: int
    spent_s: float


def advise(question: Question, open_pair: OpenPair, budget: Budget, tell: Tell) -> Advice:
    """Investigate every draft within the budget and decide by those that could be measured.

    Raises UsageError when the budget did not allow a single prediction; when every draft failed, the first one's
    RollbackError, ModelError, EngineError or WorkerError.
    """
    found: list[Findings] = []
    missing: list[str] = []
    errors: list[StudyError] = []
    drafts = question.drafts or (NO_DRAFT,)
    for place, draft in enumerate(drafts):
        share = budget.share(1 / (len(drafts) - place))
        try:
            result = investigate(
                question, draft, open_pair, tries_lookup=not found, budget=budget, share=share, tell=tell
            )
        except StudyError as error:
            errors.append(error)
            missing.append(f"{draft} ({error})")
            continue
        if isinstance(result, Findings):
            found.append(result)
        else:
            missing.append(result)
    if not found and errors:
        raise errors[0]
    if not found:
        raise UsageError(
            f"nothing could be measured within {budget.seconds:.0f} s ({'; '.join(missing)}); "
            "give --budget more seconds, fewer drafts or a smaller --n-predict"
        )
    return decide(question, found, missing, budget)


def decide(question: Question, found: Sequence[Findings], missing: Sequence[str], budget: Budget) -> Advice:
    """Weigh what was found."""
    compared = [each for findings in found for each in compare(findings)]
    busy = [each for each in compared if not each.predicted.is_idle]
    usable = [each for each in busy if each.is_usable]
    sure = [each for each in usable if each.gain is not None and pays(each.gain)]
    best = max(sure or usable or busy or compared, key=best_guess)
    models = [each for each in busy if is_model(each.predicted.drafter)]
    explained = best if pays(best.expected) else max(models or [best], key=best_guess)
    home = next(each for each in found if explained.predicted in each.predictions)
    rivals = [each for each in home.predictions if each.drafter == explained.predicted.drafter]
    return Advice(
        target=question.target,
        use=best in sure,
        best=best,
        explained=explained,
        t1_ms=home.t1_ms,
        draft_step_ms=draft_step(explained.predicted) * home.t1_ms,
        keeps_snapshots=home.keeps_snapshots,
        remedies=remedies(rivals),
        break_even=at_break_even(explained.predicted),
        compared=compared,
        predictions=[each for findings in found for each in findings.predictions],
        not_measured=[*missing, *(line for findings in found for line in findings.not_measured)],
        n_prompts=len(question.prompts),
        n_predict_tokens=question.n_predict_tokens,
        spent_s=budget.spent_s,
    )


def pays(speedup: Interval) -> bool:
    """Whether a gain is sure, and large enough to carry a second model for."""
    return speedup.low > 1 and speedup.point >= WORTHWHILE


def draft_step(found: Prediction) -> float:
    """Drafting time per drafted token in units of t₁; 0 where no model drafts."""
    return found.d / found.drafted if is_model(found.drafter) and found.drafted else 0.0


def compare(findings: Findings) -> list[Compared]:
    """Everything verified, and each drafter's best prediction whether verified or not."""
    verified = {(each.drafter, each.gamma): each for each in findings.verified}
    concluded = {each.candidate: each for each in findings.concluded}
    best: dict[str, Prediction] = {}
    for each in findings.predictions:
        if each.drafter not in best or each.speedup.point > best[each.drafter].speedup.point:
            best[each.drafter] = each
    return [
        Compared(predicted=each, concluded=concluded[each.candidate], verified=verified.get(each.candidate))
        for each in findings.predictions
        if each.candidate in verified or each is best[each.drafter]
    ]


def best_guess(compared: Compared) -> float:
    """ln S from everything that was measured."""
    return math.log(compared.concluded.speedup.point)
