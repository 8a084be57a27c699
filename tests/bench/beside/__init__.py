"""The same sixty requests, translated here and by LiteLLM: what each of them loses or changes, and
whether it says so.
"""
