# Nothing below depends on the run; its numbers are above.


def read_pairs(path):
    """The page's JSON lines: a prompt, the chosen and the rejected completion."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    pairs = [json.loads(line) for line in lines if line.strip()]
    # TRL's trainers put an end behind every completion: one that never came to its end would teach a false one.
    ended = [it for it in pairs if not it.get("chosen_truncated") and not it.get("rejected_truncated")]
    print(f"{len(ended)} of {len(pairs)} pairs; the others have a completion without an end")
    if not ended:
        raise SystemExit(f"{path} has no pair whose completions both end")
    return [{"prompt": it["prompt"], "chosen": " " + it["chosen"], "rejected": " " + it["rejected"]} for it in ended]


def tokenizer_of(pairs):
    """One token a word, as on the page. Its vocabulary is what the pairs say."""
    texts = [it[part] for it in pairs for part in ("prompt", "chosen", "rejected")]
    words = sorted({word for text in texts for word in text.split()})
    vocabulary = {word: number for number, word in enumerate(["<unk>", "<pad>", "<end>", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<end>", bos_token="<end>"
    )


def tiny(tokenizer):
    """Sizes of the page's model, in GPT-2's architecture."""
    return GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=CONTEXT,
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )


def arguments(out, name, steps, batch, rate, schedule="cosine", **more):
    """What every trainer is told. The page's AdamW has these constants, except that its cosine ends above 0."""
    return {
        "output_dir": f"{out}/{name}",
        "max_steps": steps,
        "per_device_train_batch_size": batch,
        "learning_rate": rate,
        "lr_scheduler_type": schedule,
        "max_grad_norm": 1.0,
        "seed": SEED,
        "logging_steps": 1 if steps < 20 else 10,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not torch.cuda.is_available(),
        "bf16": False,
        **more,
    }


def finetuned(start, pairs, tokenizer, out, name, steps, rate, weight_decay):
    """SFT on the chosen completions: the reference where no model was named, and Preferred-FT, which has DPO's optimiser."""
    texts = Dataset.from_list([{"prompt": it["prompt"], "completion": it["chosen"]} for it in pairs])
    settings = arguments(out, name, steps, BATCH_SIZE, rate, adam_beta2=0.98, weight_decay=weight_decay)
    trainer = SFTTrainer(
        model=start, args=SFTConfig(**settings), train_dataset=texts, processing_class=tokenizer
    )
    trainer.train()
    trainer.save_model(f"{out}/{name}")
    return f"{out}/{name}"


def dpo(reference, pairs, tokenizer, out, steps):
    settings = arguments(
        out, "dpo", steps, BATCH_SIZE, LEARNING_RATE, adam_beta2=0.98, weight_decay=0.0,
        beta=BETA, label_smoothing=LABEL_SMOOTHING, loss_type=[DPO_LOSS],
    )
    trainer = DPOTrainer(
        model=reference, args=DPOConfig(**settings), train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
    )
    trainer.train()
    trainer.save_model(f"{out}/dpo")


def reward_model(reference, pairs, tokenizer, out):
    pairs = pairs[:REWARD_MODEL_PAIRS]
    steps = max(1, REWARD_MODEL_EPOCHS * len(pairs) // REWARD_MODEL_BATCH)
    settings = arguments(
        out, "reward-model", steps, REWARD_MODEL_BATCH, REWARD_MODEL_LEARNING_RATE, adam_beta2=0.98, weight_decay=0.01
    )
    model = AutoModelForSequenceClassification.from_pretrained(reference, num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    trainer = RewardTrainer(
        model=model, args=RewardConfig(**settings), train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
    )
    trainer.train()
    trainer.save_model(f"{out}/reward-model")
    return trainer.model


def gold_scores(tokenizer):
    """VADER's compound on the scale of the labels, as the page's gold reward; 0 for a completion that does not end."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()

    def gold_score(prompts, completions, completion_ids, **_):
        compounds = [analyzer.polarity_scores(x + " " + y)["compound"] for x, y in zip(prompts, completions)]
        ended = [tokenizer.eos_token_id in ids for ids in completion_ids]
        return [(1 + c) / 2 / (LABEL_TEMPERATURE or 0.1) if done else 0.0 for c, done in zip(compounds, ended)]

    return gold_score


def missing_eos(tokenizer):
    """What is taken off for a completion that runs to the length limit without an end, as a reward of its own."""

    def missing_eos_penalty(completion_ids, **_):
        return [0.0 if tokenizer.eos_token_id in ids else -MISSING_EOS_PENALTY for ids in completion_ids]

    return missing_eos_penalty


def policy_gradient(reference, pairs, tokenizer, out, name, steps, reward):
    """TRL 1.x has no PPO trainer. RLOO is the nearest: beta pays for KL in the reward, but there is no value model; the
    baseline is the mean of the other completions of the same prompt, and a completion is one action."""
    prompts = sorted({it["prompt"] for it in pairs})
    prompts *= -(-ROLLOUT_SIZE // len(prompts))  # a rollout at least, or the trainer finds nothing to do
    settings = arguments(
        out, name, steps, ROLLOUT_SIZE // 4, PPO_LEARNING_RATE, "constant", adam_beta2=0.999, weight_decay=0.0,
        beta=BETA, num_generations=4, steps_per_generation=4, num_iterations=PPO_EPOCHS, epsilon=0.2,
        max_completion_length=MAX_COMPLETION, temperature=1.0,
    )
    trainer = RLOOTrainer(
        model=reference,
        reward_funcs=[reward, missing_eos(tokenizer)],
        reward_processing_classes=[tokenizer if isinstance(reward, torch.nn.Module) else None, None],
        args=RLOOConfig(**settings),
        train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
        processing_class=tokenizer,
    )
    trainer.train()
    trainer.save_model(f"{out}/{name}")


def main():
    parser = argparse.ArgumentParser(description="A run of Klimb's page with TRL.")
    parser.add_argument("pairs", help="the pairs, as the page saves them (klimb-pairs.jsonl)")
    parser.add_argument("--method", default=METHOD, choices=["dpo", "reward-model", "ppo", "ppo-gt", "preferred-ft"])
    parser.add_argument("--model", help="a causal language model to start from; without one a tiny GPT-2 learns the chosen completions first")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps of the method")
    parser.add_argument("--sft-steps", type=int, default=SFT_STEPS, help="optimiser steps of the tiny reference")
    parser.add_argument("--out", default="klimb-trl")
    given = parser.parse_args()

    set_seed(SEED)
    pairs = read_pairs(given.pairs)
    if given.model:
        reference, tokenizer = given.model, AutoTokenizer.from_pretrained(given.model)
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    else:
        tokenizer = tokenizer_of(pairs)
        start = GPT2LMHeadModel(tiny(tokenizer))
        reference = finetuned(start, pairs, tokenizer, given.out, "reference", given.sft_steps, SFT_LEARNING_RATE, 0.01)
    if given.method == "dpo":
        dpo(reference, pairs, tokenizer, given.out, given.steps)
    elif given.method == "preferred-ft":
        finetuned(reference, pairs, tokenizer, given.out, "preferred-ft", given.steps, LEARNING_RATE, 0.0)
    elif given.method == "reward-model":
        reward_model(reference, pairs, tokenizer, given.out)
    else:
        learned = given.method == "ppo"
        reward = reward_model(reference, pairs, tokenizer, given.out) if learned else gold_scores(tokenizer)
        policy_gradient(reference, pairs, tokenizer, given.out, given.method, given.steps, reward)


if __name__ == "__main__":
    main()
