// Gives every player and chart of a page its life.

import { chart } from "charts";
import { Player, listen } from "player";

const players = [...document.querySelectorAll(".player")].map((root) => {
  const data = JSON.parse(root.querySelector("script").textContent);
  root.nextElementSibling.append(...data.charts.map(chart));
  return new Player(root, data);
});

listen(players);
globalThis.dafxvae = { players }; // for whoever looks at them from outside
