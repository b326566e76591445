"""Computes the results in objectives.json again from the inputs there, by PyTorch's autograd in float64.

    pip install torch==2.15.0
    python tests/data/make_objectives.py            # how far the file is from what comes out, at most 1e-9
    python tests/data/make_objectives.py --write    # puts what comes out into the file

The inputs of another objective are written into the file by hand; their results are added here, and its check in
crates/klimb-lab/src/verify/objectives.rs. Each loss is written as its paper has it, and every gradient is autograd's.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F

PATH = pathlib.Path(__file__).parent / "objectives.json"
TOLERANCE = 1e-9
torch.set_default_dtype(torch.float64)


def tensors(case, *names, gradient=False):
    return [torch.tensor(case[name]).requires_grad_(gradient) for name in names]


def dpo(case):
    """Rafailov et al. 2023, equation 7, with label smoothing."""
    chosen, rejected = tensors(case, "policy_chosen", "policy_rejected", gradient=True)
    reference_chosen, reference_rejected = tensors(case, "reference_chosen", "reference_rejected")
    beta, smoothing = case["beta"], case["label_smoothing"]
    chosen_rewards = beta * (chosen - reference_chosen)
    rejected_rewards = beta * (rejected - reference_rejected)
    margins = chosen_rewards - rejected_rewards
    losses = -(1 - smoothing) * F.logsigmoid(margins) - smoothing * F.logsigmoid(-margins)
    losses.mean().backward()
    return {
        "losses": losses,
        "chosen_rewards": chosen_rewards,
        "rejected_rewards": rejected_rewards,
        "d_mean_loss_d_policy_chosen": chosen.grad,
        "d_mean_loss_d_policy_rejected": rejected.grad,
    }


def bradley_terry(case):
    """Ouyang et al. 2022, equation 1."""
    chosen, rejected = tensors(case, "chosen_scores", "rejected_scores", gradient=True)
    losses = -F.logsigmoid(chosen - rejected)
    losses.mean().backward()
    return {"losses": losses, "d_mean_loss_d_chosen": chosen.grad, "d_mean_loss_d_rejected": rejected.grad}


def gae(case):
    """Schulman et al. 2016, equation 16, of completions that end with their last token."""
    rewards, values = tensors(case, "rewards", "values")
    advantages, returns = torch.zeros_like(rewards), torch.zeros_like(rewards)
    for row, length in enumerate(case["lengths"]):
        following, carried = 0.0, 0.0
        for t in reversed(range(length)):
            error = rewards[row, t] + case["gamma"] * following - values[row, t]
            carried = error + case["gamma"] * case["gae_lambda"] * carried
            advantages[row, t], following = carried, values[row, t]
        returns[row, :length] = advantages[row, :length] + values[row, :length]
    return {"advantages": advantages, "returns": returns}


def ppo(case):
    """Schulman et al. 2017, equations 7 and 9, the value clipped as by Ziegler et al. 2019; means over all tokens."""
    logprobs, values, entropies = tensors(case, "logprobs", "values", "entropies", gradient=True)
    old_logprobs, advantages, old_values, returns = tensors(case, "old_logprobs", "advantages", "old_values", "returns")
    columns = torch.arange(logprobs.shape[1])
    counts = columns < torch.tensor(case["lengths"])[:, None]

    def mean(numbers):
        return numbers[counts].mean()

    ratios = (logprobs - old_logprobs).exp()
    clip = case["clip_range"]
    policy_loss = mean(torch.maximum(-advantages * ratios, -advantages * ratios.clamp(1 - clip, 1 + clip)))
    held = case["value_clip_range"]
    clipped = values if held is None else old_values + (values - old_values).clamp(-held, held)
    value_loss = mean(0.5 * torch.maximum((values - returns) ** 2, (clipped - returns) ** 2))
    entropy = mean(entropies)
    total = policy_loss + case["value_coefficient"] * value_loss - case["entropy_coefficient"] * entropy
    total.backward()
    logs = logprobs - old_logprobs
    return {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "total": total,
        "clip_fraction": mean(((ratios - 1).abs() > clip).double()),
        "approx_kl_k3": mean(logs.exp() - 1 - logs),
        "dlogprobs": logprobs.grad,
        "dvalues": values.grad,
        "dentropies": entropies.grad,
    }


def main():
    data = json.loads(PATH.read_text())
    farthest = 0.0
    for objective in (dpo, bradley_terry, gae, ppo):
        cases = data[objective.__name__]
        for case in cases if isinstance(cases, list) else [cases]:
            for name, result in objective(case).items():
                found = result.detach()
                if name in case:
                    distance = (found - torch.tensor(case[name])).abs().max().item()
                    farthest = max(farthest, distance)
                    print(f"{objective.__name__:<14} {name:<30} {distance:.1e}")
                case[name] = found.tolist()
    print(f"PyTorch {torch.__version__}: the file is at most {farthest:.1e} away")
    if "--write" in sys.argv[1:]:
        data["source"] = f"PyTorch {torch.__version__} autograd, float64"
        PATH.write_text(json.dumps(data, indent=1))
    elif farthest > TOLERANCE:
        sys.exit("the file is too far away")


main()
