"""PyTorch's side of `ser-train bench train`: reads one JSON request a line, answers each with one JSON line."""
import json
import sys
import time


def answer(**what):
    print(json.dumps(what), flush=True)


try:
    import torch
except Exception as error:
    answer(error="import torch: %s" % error)
    sys.exit(0)

from torch import nn

hello = json.loads(sys.stdin.readline())
torch.set_num_threads(hello["threads"])
torch.manual_seed(1)
device = torch.device("cuda" if hello["gpu"] else "cpu")
if hello["gpu"] and not torch.cuda.is_available():
    answer(error="PyTorch %s sees no CUDA device" % torch.__version__)
    sys.exit(0)
answer(
    torch=torch.__version__,
    python=sys.version.split()[0],
    device=torch.cuda.get_device_name(device) if hello["gpu"] else "cpu",
    threads=torch.get_num_threads(),
)


def chain(widths, dropout, code=None):
    """Affine layers with leaky ReLU and dropout between them; none after layer `code`."""
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(a, b))
        if i + 2 < len(widths) and i != code:
            layers += [nn.LeakyReLU(0.01), nn.Dropout(dropout)]
    return nn.Sequential(*layers).to(device)


def adam(*nets, fused):
    parameters = [p for net in nets for p in net.parameters()]
    return torch.optim.Adam(parameters, lr=1e-4, fused=True) if fused else torch.optim.Adam(parameters, lr=1e-4)


def autoencoder(r, fused):
    encoder, generator = (chain(w, r["dropout"]) for w in r["widths"])
    optimiser = adam(encoder, generator, fused=fused)
    x = torch.randn(r["batch"], r["widths"][0][0], device=device)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.mse_loss(generator(encoder(x)), x)
        loss.backward()
        optimiser.step()
        return loss

    return step


def classifier(r, fused):
    net = chain(r["widths"][0], r["dropout"])
    optimiser = adam(net, fused=fused)
    x = torch.randn(r["batch"], r["widths"][0][0], device=device)
    t = torch.softmax(torch.randn(r["batch"], r["widths"][0][-1], device=device), 1)

    def step():
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(net(x), t)
        loss.backward()
        optimiser.step()
        return loss

    return step


def gan(r, fused):
    encoder, generator = (chain(w, r["dropout"]) for w in r["widths"][:2])
    judge = chain(r["widths"][2], r["judge_dropout"])
    both = adam(encoder, generator, fused=fused)
    for_generator, for_judge = adam(generator, fused=fused), adam(judge, fused=fused)
    x = torch.randn(r["batch"], r["widths"][0][0], device=device)
    real = x[: r["real"]]
    softplus = nn.functional.softplus

    def step():
        both.zero_grad(set_to_none=True)
        nn.functional.mse_loss(generator(encoder(x)), x).backward()
        both.step()
        with torch.no_grad():
            codes = encoder(x)
        for_generator.zero_grad(set_to_none=True)
        for p in judge.parameters():
            p.requires_grad_(False)
        softplus(-judge(generator(codes))).mean().backward()
        for p in judge.parameters():
            p.requires_grad_(True)
        for_generator.step()
        for_judge.zero_grad(set_to_none=True)
        with torch.no_grad():
            fake = generator(codes)
        loss = softplus(-judge(real)).mean() + softplus(judge(fake)).mean()
        loss.backward()
        for_judge.step()
        return loss

    return step


def sync(loss):
    # Reading the number waits for the device, as it does on the other side.
    if not bool(torch.isfinite(loss)):
        raise ValueError("the loss is not finite")


kinds = {"autoencoder": autoencoder, "classifier": classifier, "gan": gan}
steps = {}
for line in sys.stdin:
    r = json.loads(line)
    try:
        if r["do"] == "make":
            steps = {}
            steps = {fused: kinds[r["kind"]](r, fused) for fused in (False, True)}
            for step in steps.values():
                sync(step())
            answer(ok=True)
        else:
            step = steps[r["fused"]]
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(r["steps"]):
                loss = step()
            sync(loss)
            answer(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)
    except Exception as error:
        answer(error=str(error))
