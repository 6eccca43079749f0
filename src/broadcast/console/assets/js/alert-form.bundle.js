// What the forms of an alert and of its template run beside what every page runs: the microphone.
import "./maker-recorder.js";
import "./maker-trim.js";
import "./maker-upload.js";
import "./maker-ways.js";
