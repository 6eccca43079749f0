// What the page of a new bulletin runs beside what every page runs.
import "./maker-draft.js";
import "./maker-readings.js";
import "./maker-recorder.js";
import "./maker-trim.js";
import "./maker-upload.js";
import "./maker-heard.js";
import "./maker-ways.js";
