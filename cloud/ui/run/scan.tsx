// One way in for codes: a scanner that types, fingers, the camera, or a picture.
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "./words";

export const waybillForm = /^[A-Z0-9-]{6,32}$/;

export function Scan({ take, label }: { take: (code: string) => void; label?: string }) {
  const filming = useSignal(false);
  const trouble = useSignal("");
  const input = useRef<HTMLInputElement>(null);
  const say = (code: string) => {
    trouble.value = "";
    take(code.trim());
    if (input.current) input.current.value = "";
  };
  const picture = async (file: File | undefined) => {
    if (!file) return;
    trouble.value = "";
    const { fromPicture } = await import("./decode");
    const found = await fromPicture(file).catch(() => undefined);
    if (found) say(found);
    else trouble.value = t("noCode");
  };
  return (
    <div class="scan">
      <form onSubmit={(e) => { e.preventDefault(); const v = input.current!.value; if (v.trim()) say(v); }}>
        <input ref={input} id="code" inputMode="text" autocomplete="off" autocapitalize="characters" spellcheck={false} enterkeyhint="done" aria-label={label ?? t("scan")} placeholder={label ?? t("scan")} />
        <button class="primary">{t("enter")}</button>
      </form>
      {filming.value
        ? <Camera found={(code) => { filming.value = false; say(code); }} close={(why) => { filming.value = false; trouble.value = why ?? ""; }} />
        : (
          <div class="ways">
            <button onClick={() => { trouble.value = ""; filming.value = true; }}>◉ {t("camera")}</button>
            <label class="button">▦ {t("picture")}<input type="file" accept="image/*" class="file" onChange={(e) => { void picture(e.currentTarget.files?.[0]); e.currentTarget.value = ""; }} /></label>
          </div>
        )}
      {trouble.value && <p class="bad" role="alert">{trouble.value}</p>}
    </div>
  );
}

function Camera({ found, close }: { found: (code: string) => void; close: (why?: string) => void }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    let on = true, stream: MediaStream | undefined, timer = 0;
    void (async () => {
      try {
        const { fromVideo } = await import("./decode");
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false });
        if (!on) throw new Error("closed meanwhile");
        video.current!.srcObject = stream;
        await video.current!.play();
        const look = () => {
          if (!on) return;
          const code = fromVideo(video.current!);
          if (code) { navigator.vibrate?.(40); found(code); } else timer = window.setTimeout(look, 120);
        };
        look();
      } catch {
        stream?.getTracks().forEach((x) => x.stop());
        if (on) close(t("noCamera"));
      }
    })();
    return () => { on = false; clearTimeout(timer); stream?.getTracks().forEach((x) => x.stop()); };
  }, []);
  return (
    <div class="camera">
      <video ref={video} muted playsInline />
      <i class="aim" aria-hidden="true" />
      <button onClick={() => close()}>{t("stopCamera")}</button>
    </div>
  );
}
