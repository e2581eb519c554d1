// A photo as it is kept and sent: a JPEG of at most 1280 points and 380 KB, drawn anew, so that nothing of the camera's own notes (place, serial number) is left.
const most = 380 * 1024;

export async function small(file: Blob): Promise<{ base64: string; bytes: number }> {
  const b = await createImageBitmap(file);
  try {
    for (const [longest, quality] of [[1280, 0.75], [1280, 0.5], [960, 0.5], [640, 0.4]] as const) {
      const k = Math.min(1, longest / Math.max(b.width, b.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(b.width * k);
      canvas.height = Math.round(b.height * k);
      canvas.getContext("2d")!.drawImage(b, 0, 0, canvas.width, canvas.height);
      const out = await new Promise<Blob | null>((r) => canvas.toBlob(r, "image/jpeg", quality));
      if (out && out.size <= most) return { base64: await base64(out), bytes: out.size };
    }
    throw new Error("too large");
  } finally { b.close(); }
}

async function base64(b: Blob): Promise<string> {
  const bytes = new Uint8Array(await b.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000) text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}
