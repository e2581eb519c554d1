// Barcodes out of pixels: what labels bear (Code 128, QR) and what shops print (EAN-13). Loaded when somebody opens the camera or a picture.
import { BarcodeFormat, BinaryBitmap, DecodeHintType, HybridBinarizer, MultiFormatReader, RGBLuminanceSource } from "@zxing/library";

const formats = [BarcodeFormat.CODE_128, BarcodeFormat.QR_CODE, BarcodeFormat.CODE_39, BarcodeFormat.EAN_13];

function read(pixels: ImageData, hard: boolean): string | undefined {
  const n = pixels.width * pixels.height, light = new Uint8ClampedArray(n);
  for (let i = 0, p = 0; i < n; i++, p += 4) light[i] = (pixels.data[p]! * 306 + pixels.data[p + 1]! * 601 + pixels.data[p + 2]! * 117) >> 10;
  const reader = new MultiFormatReader();
  const hints = new Map<DecodeHintType, unknown>([[DecodeHintType.POSSIBLE_FORMATS, formats]]);
  if (hard) hints.set(DecodeHintType.TRY_HARDER, true);
  reader.setHints(hints);
  try {
    return reader.decode(new BinaryBitmap(new HybridBinarizer(new RGBLuminanceSource(light, pixels.width, pixels.height)))).getText();
  } catch {
    return undefined; // nothing there: the library says so by throwing
  }
}

function drawn(source: CanvasImageSource, w: number, h: number, longest: number): ImageData {
  const k = Math.min(1, longest / Math.max(w, h));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(w * k));
  canvas.height = Math.max(1, Math.round(h * k));
  const c = canvas.getContext("2d", { willReadFrequently: true })!;
  c.drawImage(source, 0, 0, canvas.width, canvas.height);
  return c.getImageData(0, 0, canvas.width, canvas.height);
}

/** The code in a frame of a camera. */
export const fromVideo = (v: HTMLVideoElement) => (v.videoWidth ? read(drawn(v, v.videoWidth, v.videoHeight, 960), false) : undefined);

/** The code in a picture, looked for at several sizes. */
export async function fromPicture(file: Blob): Promise<string | undefined> {
  const b = await createImageBitmap(file);
  try {
    for (const longest of [1200, 2000, 700]) {
      const found = read(drawn(b, b.width, b.height, longest), true);
      if (found) return found;
    }
    return undefined;
  } finally { b.close(); }
}
