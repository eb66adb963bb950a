"""The networks of networks.mjs in PyTorch: one JSON request per line on stdin, one JSON answer per line on stdout."""

import json
import resource
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

DTYPES = {"F32": torch.float32, "I32": torch.int32, "I64": torch.int64}


def read_weights(path):
    with open(path, "rb") as file:
        raw = bytearray(file.read())
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    header.pop("__metadata__", None)
    state = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        part = bytearray(raw[8 + length + begin : 8 + length + end])
        state[name] = torch.frombuffer(part, dtype=DTYPES[entry["dtype"]]).reshape(entry["shape"]).clone()
    return state


def pair(a, b):
    layers = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.middle = pair(3, 16), pair(16, 32), pair(32, 64)
        self.up2, self.join2 = nn.ConvTranspose2d(64, 32, 2, 2), pair(64, 32)
        self.up1, self.join1 = nn.ConvTranspose2d(32, 16, 2, 2), pair(32, 16)
        self.head, self.pool = nn.Conv2d(16, 1, 1), nn.MaxPool2d(2)

    def forward(self, x):
        a = self.down1(x)
        b = self.down2(self.pool(a))
        c = self.middle(self.pool(b))
        d = self.join2(torch.cat([self.up2(c), b], 1))
        return self.head(self.join1(torch.cat([self.up1(d), a], 1)))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.ConvTranspose2d(100, 512, 4, bias=False), nn.BatchNorm2d(512), nn.ReLU()]
        for a, b in ((512, 256), (256, 128), (128, 64)):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False))

    def forward(self, z):
        return torch.tanh(self.layers(z))


class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for a, b in ((64, 128), (128, 256), (256, 512)):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.generator = Generator()
        self.discriminator = nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False))


class Upscaler(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Conv2d(3, 64, 5, padding=2), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(64, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 12, 3, padding=1)]
        self.layers, self.shuffle = nn.Sequential(*layers), nn.PixelShuffle(2)

    def forward(self, x):
        return self.shuffle(self.layers(x))


def simple(model, loss_of):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def adversarial(model):
    g, d = model.generator, model.discriminator
    of_g, of_d = (torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (g, d))
    bce = F.binary_cross_entropy_with_logits

    def step(z, real):
        ones, zeros = torch.ones(16, 1, 1, 1), torch.zeros(16, 1, 1, 1)
        of_d.zero_grad()
        fake = g(z)
        bce(d(real), ones).backward()
        bce(d(fake.detach()), zeros).backward()
        of_d.step()
        of_g.zero_grad()
        loss = bce(d(fake), ones)
        loss.backward()
        of_g.step()
        return loss.item()

    return step


NETWORKS = {
    "dcgan": (Gan, adversarial),
    "unet": (UNet, lambda model: simple(model, F.binary_cross_entropy_with_logits)),
    "upscaler": (Upscaler, lambda model: simple(model, F.l1_loss)),
}

state = {}


def prepare(request):
    make, training = NETWORKS[request["network"]]
    model = make()
    model.load_state_dict(read_weights(request["weights"]))
    data = []
    for path, shape in zip(request["files"], request["shapes"]):
        with open(path, "rb") as file:
            data.append(torch.frombuffer(bytearray(file.read()), dtype=torch.float32).reshape(shape))
    state.update(step=training(model), data=data)
    return {}


def step(_):
    begin = time.perf_counter()
    loss = state["step"](*state["data"])
    return {"ms": (time.perf_counter() - begin) * 1000, "loss": loss}


def memory(_):
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


torch.set_num_threads(json.loads(sys.argv[1])[0])
print(json.dumps({"detail": f"{torch.__version__}, {torch.get_num_threads()} threads"}), flush=True)
handlers = {"prepare": prepare, "step": step, "memory": memory}
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps(handlers[request["do"]](request)), flush=True)
