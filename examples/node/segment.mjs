// Segments a picture by an exported model: node segment.mjs MODEL.onnx PICTURE OUT.png
//
// OUT.png is grey: the value of a pixel is the number of its class.
import * as ort from "onnxruntime-web"; // or from "onnxruntime-node": the same calls, native and faster
import sharp from "sharp";

const [model, picture, out] = process.argv.slice(2);
if (out === undefined) {
  console.error("usage: node segment.mjs MODEL.onnx PICTURE OUT.png");
  process.exit(2);
}

// What the model takes: (1, 3, height, width), uint8, red first.
const image = sharp(picture).removeAlpha().toColourspace("srgb").raw();
const { data, info } = await image.toBuffer({ resolveWithObject: true });
const { width, height } = info;
const planes = new Uint8Array(data.length);
data.forEach((value, i) => (planes[(i % 3) * width * height + Math.floor(i / 3)] = value));
const pictures = new ort.Tensor("uint8", planes, [1, 3, height, width]);

const session = await ort.InferenceSession.create(model);
const start = performance.now();
const { labels } = await session.run({ pictures }, ["labels"]);
console.log(`${width} x ${height} pixels in ${Math.round(performance.now() - start)} ms`);

const grey = { raw: { width, height, channels: 1 } };
await sharp(labels.data, grey).toColourspace("b-w").png().toFile(out);
