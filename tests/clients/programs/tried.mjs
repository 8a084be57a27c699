// What the Node programs beside this one have in common; see tried.py.

export const ASK = "How is it going?";
export const USE_TOOL = 'How is the weather? [[call weather {"city": "Oslo"}]]';
export const weather = ({ city }) => `sunny, 21 degrees in ${city}`;
export const WEATHER = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

export async function tried(name, run) {
  let outcome;
  try {
    outcome = { value: await run() };
  } catch (error) {
    outcome = { error: `${error.name}: ${error.message}` };
  }
  console.log("TRIED", JSON.stringify({ case: name, ...outcome }));
}

export async function pieces(stream, textOf) {
  const found = [];
  for await (const each of stream) if (textOf(each)) found.push(textOf(each));
  return found;
}
