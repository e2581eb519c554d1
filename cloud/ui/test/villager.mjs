// A villager's page in a real browser, without JavaScript, as wide as a phone: node villager.mjs FOLDER LINK...
// The links are of a parcel in a locker, of one on its way, of none, and to sign in, whose code is written to a file. Screenshots go to FOLDER.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [folder, kept, moving, none, my, code] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const faults = [];

for (const locale of ["zh-CN", "en-GB"]) {
  const context = await browser.newContext({ locale, javaScriptEnabled: false, viewport: { width: 360, height: 740 } });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  const asked = [];
  page.on("request", (r) => asked.push(r.url()));
  page.on("console", (m) => { if (m.type() === "error" && !/\b404\b/.test(m.text())) faults.push(m.text()); });
  const zh = locale === "zh-CN";

  const bytes = await (await page.goto(kept)).body();
  assert.ok(bytes.length <= 30 * 1024, `${bytes.length} bytes`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  assert.match(await page.locator(".code").first().innerText(), /^\d\d \d\d \d\d$/);
  assert.ok((await page.locator("svg").boundingBox()).width > 150, "a QR code that a scanner sees");
  const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]).catch(() => null);
  if (wide) assert.ok(wide[0] <= wide[1], `scrolls sideways: ${wide}`);
  for (const b of await page.locator("button, .button, summary").all()) {
    assert.ok((await b.boundingBox()).height >= 44, "a thumb finds it");
  }
  const size = await page.locator("h1").evaluate((e) => getComputedStyle(e).fontSize).catch(() => "28px");
  assert.ok(parseFloat(size) >= 24, size);
  await page.screenshot({ path: join(folder, `kept-${locale}.png`), fullPage: true });

  await page.getByRole("link", { name: zh ? "让家人代取" : "Let somebody else collect it" }).click();
  await page.locator(".code").nth(1).waitFor();
  assert.equal(await page.locator(".code").count(), 2, "a code for the family");
  await page.getByRole("button", { name: zh ? "柜门打不开" : "The door doesn't open" }).click();
  await page.getByRole("status").waitFor();
  assert.match(page.url(), /said=reported/);
  await page.screenshot({ path: join(folder, `reported-${locale}.png`), fullPage: true });

  await page.goto(moving);
  assert.equal(await page.locator(".code").count(), 0);
  await page.screenshot({ path: join(folder, `moving-${locale}.png`), fullPage: true });
  if (zh) {
    await page.getByRole("button", { name: "放服务站" }).click();
    await page.getByText("您选了：放服务站").waitFor();
  } else {
    await page.getByText("You chose: To the station").waitFor();
  }
  await page.screenshot({ path: join(folder, `wished-${locale}.png`), fullPage: true });

  await page.goto(my);
  await page.getByLabel(zh ? "手机号" : "Your phone number").fill("13800138000");
  await page.screenshot({ path: join(folder, `my-phone-${locale}.png`), fullPage: true });
  await page.getByRole("button", { name: zh ? "获取登录码" : "Send me a code" }).click();
  await page.getByLabel(zh ? "登录码" : "Code").fill("12");
  await page.getByRole("button", { name: zh ? "登录" : "Sign in", exact: true }).click();
  await page.getByRole("status").waitFor();
  await page.getByLabel(zh ? "登录码" : "Code").fill(readFileSync(code, "utf8"));
  await page.screenshot({ path: join(folder, `my-code-${locale}.png`), fullPage: true });
  await page.getByRole("button", { name: zh ? "登录" : "Sign in", exact: true }).click();
  await page.getByRole("link", { name: zh ? "查看" : "Open" }).first().waitFor();
  const across = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]).catch(() => null);
  if (across) assert.ok(across[0] <= across[1], `scrolls sideways: ${across}`);
  await page.screenshot({ path: join(folder, `my-list-${locale}.png`), fullPage: true });
  await page.getByRole("link", { name: zh ? "查看" : "Open" }).first().click();
  await page.locator(".code").first().waitFor();
  await page.goto(my);
  await page.getByRole("button", { name: zh ? "退出登录" : "Sign out" }).click();
  await page.getByLabel(zh ? "手机号" : "Your phone number").waitFor();

  const refused = await page.goto(none);
  assert.equal(refused.status(), 404);
  await page.screenshot({ path: join(folder, `none-${locale}.png`), fullPage: true });
  const host = new URL(kept).host;
  assert.ok(asked.every((u) => new URL(u).host === host || u.startsWith("data:")), "asks nobody else");
  await context.close();
}
await browser.close();
assert.deepEqual(faults, []);
