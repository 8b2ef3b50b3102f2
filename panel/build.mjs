// Bundles the panel into the integration. The name of the file tells its content, so that browsers
// may keep it for ever.
import { rm } from "node:fs/promises";
import { build } from "esbuild";

const target = "../custom_components/grid_telemetry/frontend";

await rm(target, { recursive: true, force: true });
await build({
  entryPoints: ["src/panel.ts"],
  entryNames: "[name]-[hash]",
  outdir: target,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2024",
  loader: { ".css": "text" },
  legalComments: "eof",
});
