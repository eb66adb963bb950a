/**
 * A headless Chromium for tests: the one `npm test` found or fetched. Refuses to start without one, so that a test
 * which needs it fails instead of being passed over.
 */
import { type Browser, chromium } from 'playwright-core';
import { findBrowser } from '../../scripts/browser.mjs';

/** Quiet and offline; without a sandbox, which root may not have. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts the browser; `more` are further command line flags. The caller closes it. */
export async function launchBrowser(more: readonly string[] = []): Promise<Browser> {
  const executablePath = await findBrowser();
  if (executablePath === undefined) {
    throw new Error(
      'no Chromium or Chrome on this machine: `npm test` tries to get one, or set CHROME_PATH to yours',
    );
  }
  return chromium.launch({ executablePath, headless: true, args: [...flags, ...more] });
}
