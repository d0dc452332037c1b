// Problems in their own words, with what to do about them.

const ADVICE = {
  invalid_image: "Choose a JPEG, PNG, WebP, BMP or TIFF.",
  image_too_large: "Scale the image down, and send it again.",
  invalid_query: "Change the question, and send it again.",
  unauthorized: "Reload the page to sign in.",
  rate_limited: "Wait a little, and send it again.",
  overloaded: "Wait a few seconds, and send it again.",
  not_found: "Send the image and the question again.",
  gone: "Send the image and the question again.",
  upstream_unavailable: "Send it again: what is finished is not repeated. `dtwinseger doctor` tells what is down.",
  upstream_invalid: "Send it again: what is finished is not repeated. `dtwinseger doctor` checks the engines.",
  deadline_exceeded: "Send it again: what is finished is not repeated.",
  storage_unavailable: "Try again shortly.",
  internal: "This is a defect: report it with the request id.",
};

export class Problem extends Error {
  /** From the body of an RFC 9457 problem. */
  constructor({ code, detail, request_id = null }) {
    super(detail);
    this.code = code;
    this.requestId = request_id;
  }
}

/** The gateway could not be reached at all. */
export const UNREACHABLE = { code: "unreachable", detail: "The gateway does not answer. Is it running?" };

/** Show a problem in `element`, which is an alert; null hides it. */
export function tell(element, problem) {
  element.hidden = !problem;
  element.replaceChildren();
  if (!problem) return;
  line(element, "strong", problem.message);
  if (ADVICE[problem.code]) line(element, "span", ADVICE[problem.code]);
  if (problem.requestId) line(element, "small", `${problem.code}, request ${problem.requestId}`);
}

function line(parent, tag, text) {
  parent.appendChild(document.createElement(tag)).textContent = text;
}
