"""The two-token encoder against the stock transformer with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ramer.errors import ConfigError
from ramer.nn.encoder import UnimodalEncoder

ROWS, INPUT, CLASSES, HEADS, FF = 7, 12, 5, 4, 20


def make(layers: int = 2, model_dim: int | None = None, dropout: float = 0.0, heads: int = HEADS) -> UnimodalEncoder:
    torch.manual_seed(1)
    encoder = UnimodalEncoder(
        INPUT,
        CLASSES,
        hidden_dim=6,
        model_dim=model_dim,
        layers=layers,
        heads=heads,
        ff_dim=FF,
        dropout=dropout,
        classifier_dims=(9,),
    )
    with torch.no_grad():  # biases and norms that do something, tokens that matter
        for parameter in encoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return encoder


def stock_layer(state: dict[str, Tensor], heads: int, dropout: float) -> nn.TransformerEncoderLayer:
    """A stock layer with the weights of one of ours; all names but query, key and value are the stock ones."""
    width = state["query.weight"].shape[0]
    layer = nn.TransformerEncoderLayer(width, heads, state["linear1.weight"].shape[0], dropout, batch_first=True)
    weights = {name: value.clone() for name, value in state.items() if not name.startswith(("query", "key", "value"))}
    weights = {name.replace("out_proj", "self_attn.out_proj"): value for name, value in weights.items()}
    parts = [state[f"{part}.weight"] for part in ("query", "key", "value")]
    weights["self_attn.in_proj_weight"] = torch.cat(parts)
    # The stock key has a bias; whatever it is, the softmax over keys cancels it.
    weights["self_attn.in_proj_bias"] = torch.cat([state["query.bias"], torch.ones(width), state["value.bias"]])
    layer.load_state_dict(weights)
    return layer


class Stock(nn.Module):
    """The same encoder from stock modules."""

    def __init__(self, encoder: UnimodalEncoder, dropout: float = 0.0) -> None:
        super().__init__()
        ours = [*encoder.body, encoder.last]
        self.layers = nn.ModuleList(stock_layer(dict(o.state_dict()), encoder.last.heads, dropout) for o in ours)
        self.project = encoder.project
        self.cls = nn.Parameter(encoder.cls.detach().clone())
        self.position = nn.Parameter(encoder.position.detach().clone())
        self.to_hidden, self.classifier = encoder.to_hidden, encoder.classifier

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.project(x)
        tokens = torch.stack([self.cls.expand(len(x), -1), feature], dim=1) + self.position
        for layer in self.layers:
            tokens = layer(tokens)
        hidden = self.to_hidden(tokens[:, 0])
        return hidden, self.classifier(hidden)


SHAPES = [(1, None), (2, None), (3, None), (1, 8), (2, 8), (3, 8)]


@pytest.mark.parametrize("mode", ["train", "eval", "inference"])
@pytest.mark.parametrize(("layers", "model_dim"), SHAPES)
def test_outputs_equal_stock_transformer(layers: int, model_dim: int | None, mode: str) -> None:
    encoder = make(layers, model_dim).train(mode == "train")
    stock = Stock(encoder).train(mode == "train")
    x = torch.randn(ROWS, INPUT)
    with torch.inference_mode(mode == "inference"):
        hidden, logits = stock(x)
        encoded = encoder(x)
    torch.testing.assert_close(encoded.hidden, hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(encoded.logits, logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("layers", "model_dim"), SHAPES)
def test_gradients_equal_stock_transformer(layers: int, model_dim: int | None) -> None:
    encoder = make(layers, model_dim)
    stock = Stock(encoder)
    x = torch.randn(ROWS, INPUT)
    weighting = torch.randn(ROWS, CLASSES)
    (stock(x)[1] * weighting).sum().backward()
    expected = {f"to_hidden.{n}": p.grad.clone() for n, p in stock.to_hidden.named_parameters() if p.grad is not None}
    expected |= {"cls": grad_of(stock.cls), "position": grad_of(stock.position)}
    for ours, layer in zip(["body." + str(i) for i in range(layers - 1)] + ["last"], stock.layers, strict=True):
        for name, parameter in layer.named_parameters():
            expected[f"{ours}.{name.removeprefix('self_attn.')}"] = grad_of(parameter)
    encoder.zero_grad()
    (encoder(x).logits * weighting).sum().backward()
    actual = {name: grad_of(parameter) for name, parameter in encoder.named_parameters()}
    for ours in {name.rsplit("in_proj", 1)[0] for name in expected if "in_proj" in name}:
        query, key, value = expected.pop(f"{ours}in_proj_weight").chunk(3)
        query_bias, _, value_bias = expected.pop(f"{ours}in_proj_bias").chunk(3)
        expected |= {f"{ours}query.weight": query, f"{ours}key.weight": key, f"{ours}value.weight": value}
        expected |= {f"{ours}query.bias": query_bias, f"{ours}value.bias": value_bias}
    untested = {name for name in actual if name not in expected}
    assert all(name.startswith(("project.", "classifier.")) for name in untested)
    assert expected.keys() <= actual.keys()
    torch.testing.assert_close({name: actual[name] for name in expected}, expected, atol=1e-5, rtol=1e-4)


def grad_of(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_dropout_has_the_stock_distribution(layers: int) -> None:
    """Mean and spread of every output over many passes: a dropout that is missing or misplaced shifts the spread."""
    encoder = make(layers, dropout=0.4).train()
    stock = Stock(encoder, dropout=0.4).train()
    row = torch.randn(1, INPUT)
    many = row.expand(40_000, -1)
    with torch.no_grad():
        ours, reference = encoder(many).hidden, stock(many)[0]
    error = reference.std(0) / len(many) ** 0.5
    assert (ours.mean(0) - reference.mean(0)).abs().max() < 6 * error.max()
    torch.testing.assert_close(ours.std(0), reference.std(0), rtol=0.03, atol=0.0)
    torch.testing.assert_close(ours.T.cov(), reference.T.cov(), rtol=0.05, atol=0.03 * float(reference.var()))


def test_dropout_differs_between_rows() -> None:
    hidden = make(dropout=0.4).train()(torch.ones(50, INPUT)).hidden
    assert len(hidden.detach().unique(dim=0)) == 50


def test_a_row_does_not_depend_on_its_batch() -> None:
    encoder = make().eval()
    x = torch.randn(33, INPUT)
    whole = nn.functional.normalize(encoder(x).hidden)
    alone = nn.functional.normalize(torch.cat([encoder(row[None]).hidden for row in x]))
    torch.testing.assert_close(alone, whole, atol=1e-6, rtol=0.0)


def test_cls_and_positions_are_trained_leaves() -> None:
    encoder = make()
    encoder(torch.randn(ROWS, INPUT)).logits.square().sum().backward()
    for name in ("cls", "position"):
        parameter = dict(encoder.named_parameters())[name]
        assert parameter.is_leaf
        assert name in encoder.state_dict()
        assert (grad_of(parameter).abs().sum(-1) > 0).all()


def test_fresh_tokens_are_random_and_small() -> None:
    encoder = UnimodalEncoder(
        64, 3, hidden_dim=4, model_dim=None, layers=1, heads=4, ff_dim=8, dropout=0.0, classifier_dims=()
    )
    for token in (encoder.cls, *encoder.position):
        assert 0 < token.abs().max() < 0.1


def test_hidden_comes_from_the_transformer() -> None:
    """A linear map of the raw input would be additive; and the attention's weights must matter."""
    encoder = make().eval()
    x, y, zero = torch.randn(ROWS, INPUT), torch.randn(ROWS, INPUT), torch.zeros(ROWS, INPUT)
    before = encoder(x).hidden
    additive = before + encoder(y).hidden - encoder(zero).hidden
    assert (encoder(x + y).hidden - additive).abs().max() > 0.1
    with torch.no_grad():
        encoder.last.value.weight.mul_(-1)
    assert (encoder(x).hidden - before).abs().max() > 0.1


def test_empty_batch() -> None:
    encoded = make()(torch.zeros(0, INPUT))
    assert encoded.hidden.shape == (0, 6)
    assert encoded.logits.shape == (0, CLASSES)


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ConfigError, match=r"heads: expected a divisor of 12, the input's width .*, got 5"):
        make(heads=5)
    with pytest.raises(ConfigError, match=r"heads: expected a divisor of 8, model_dim, got 3"):
        make(model_dim=8, heads=3)


def test_wrong_width_says_so() -> None:
    with pytest.raises(ValueError, match=r"expected shape \[n, 12\], got \[3, 11\]"):
        make()(torch.zeros(3, 11))
