/** tiling: pictures too large for a network at once. */
export type { Box, PlannedOutput, Tile, TileOptions, TileOutput, TilePlan } from './plan.js';
export {
  type Network,
  planTiles,
  type RunTiledOptions,
  runTiled,
  streamTiles,
  type TileProgress,
  type TileStream,
} from './run.js';
