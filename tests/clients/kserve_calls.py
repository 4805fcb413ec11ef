"""Calls an edge with KServe's own client and prints what came back, as JSON; runs in an environment of its own.

Usage: python kserve_calls.py URL
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import InferResponse, RequestedOutput


def shown(array: Any) -> dict[str, Any]:
    """An array with every bit; text as it is."""
    array = np.asarray(array)
    if array.dtype == object:
        texts = [text.decode() if isinstance(text, bytes) else text for text in array.reshape(-1).tolist()]
        return {"shape": list(array.shape), "texts": texts}
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "bytes": base64.b64encode(array.tobytes()).decode(),
    }


def told(response: InferResponse) -> dict[str, Any]:
    """Everything of a response."""
    return {
        "id": response.id,
        "model_name": response.model_name,
        "model_version": response.model_version,
        "parameters": response.parameters,
        "outputs": {output.name: shown(output.as_numpy()) for output in response.outputs},
    }


def request(model: str, feeds: dict[str, tuple[str, Any]], *, binary: bool, **more: Any) -> InferRequest:
    """Tensors by name, with KServe's name of their type."""
    tensors = []
    for name, (datatype, array) in feeds.items():
        tensor = InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array, binary_data=binary)
        tensors.append(tensor)
    return InferRequest(model, tensors, **more)


async def error_of(call: Any) -> str:
    """The text of the error that a call ends with."""
    try:
        await call
    except httpx.HTTPStatusError as error:
        return str(error)
    return ""


async def main(url: str) -> dict[str, Any]:
    """Every call, by name of what it shows."""
    v2 = InferenceRESTClient(RESTConfig(protocol="v2", timeout=30))
    v1 = InferenceRESTClient(RESTConfig(protocol="v1", timeout=30))
    x = np.array([[1, 2, 3, 4], [0.1, -0.0, 3e38, 1e-40]], np.float32)
    texts = {
        "name": ("BYTES", np.array([["UA"], ["Zürich 東京"]], np.object_)),
        "n": ("INT64", np.array([[2**53 + 1], [-5]])),
    }
    floats = {"x": ("FP32", x)}
    found: dict[str, Any] = {
        "live": await v2.is_server_live(url),
        "ready": await v2.is_server_ready(url),
        "model_ready": await v2.is_model_ready(url, "late"),
        "v1_model_ready": await v1.is_model_ready(url, "late"),
        "unborn_ready": await v2.is_model_ready(url, "unborn"),
    }
    for name, binary in (("json", False), ("binary", True)):
        asked = [RequestedOutput("y", {"binary_data": binary})]
        one = request("late", floats, binary=binary, request_id="seven", request_outputs=asked)
        found[f"floats_{name}"] = told(await v2.infer(url, one, model_name="late"))
        found[f"texts_{name}"] = told(await v2.infer(url, request("tagged", texts, binary=binary), model_name="tagged"))
    whole = request("late", floats, binary=True, parameters={"binary_data_output": True})
    found["floats_binary_output"] = told(await v2.infer(url, whole, model_name="late"))
    by_key = InferRequest("late", [], parameters={"key": "F1"})
    found["key"] = [told(await v2.infer(url, by_key, model_name="late")) for _ in range(2)]
    wrong = request("late", {"x": ("FP32", x[:, :3].copy())}, binary=True)
    found["error"] = await error_of(v2.infer(url, wrong, model_name="late"))
    found["v1"] = await v1.infer(url, {"instances": x.tolist()}, model_name="late")
    found["v1_by_name"] = await v1.infer(url, {"instances": [{"name": "UA", "n": 3}]}, model_name="tagged")
    found["v1_error"] = await error_of(v1.infer(url, {"instances": []}, model_name="late"))
    await v2.close()
    await v1.close()
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))
