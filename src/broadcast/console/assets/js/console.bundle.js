// What every page runs. A behaviour attaches itself to what carries its data- attribute.
import "./htmx.js";
import "./problems.js";
import "./live.js";
import "./confirm.js";
import "./menu.js";
import "./sign-in.js";
import "./print.js";
