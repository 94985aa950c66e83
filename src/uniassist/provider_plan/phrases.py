"""What the `plan` specialist says: one catalogue, Chinese and English, chosen by `locale`."""

from __future__ import annotations

from uniassist.contracts.language import Language, language

_CATALOGUE: dict[str, dict[Language, str]] = {
    "ack": {"zh": "好的，我来帮你制定计划。", "en": "All right, let us make a plan."},
    "ack_prefilled": {
        "zh": "好的，我来帮你制定计划。已经替你填上：{fields}，请核对并补充其余内容。",
        "en": "All right, let us make a plan. Already filled in: {fields}. Please check it and add the rest.",
    },
    "ack_prefilled_kept": {
        "zh": "好的，我来帮你制定计划。已经记下：{fields}。说错了直接告诉我；其余的请填在下面，可以不填。",
        "en": "All right, let us make a plan. Noted: {fields}. Tell me if that is wrong; the rest is below, and "
        "may stay empty.",
    },
    "changed_kept": {
        "zh": "好的，已按你说的更新：{fields}。其余的请填在下面，没有就直接提交。",
        "en": "All right, updated as you said: {fields}. The rest is below; submit it when you are ready.",
    },
    "field_value": {"zh": "{field}“{value}”", "en": "{field} “{value}”"},
    "changed": {
        "zh": "好的，已按你说的更新：{fields}，请核对。",
        "en": "All right, updated as you said: {fields}. Please check it.",
    },
    "not_read": {
        "zh": "这句话我还没读懂要改“{title}”的哪一项。可以说“目标是三个月学会游泳”“10月7日之前”“预算五千”，"
        "或者直接填写表单；不做计划了就说“取消”。",
        "en": "I could not tell what that changes in “{title}”. You can say “my goal is to learn to swim”, "
        "“in 30 days”, “budget 500”, or fill in the form; to leave it, say “cancel”.",
    },
    "given_up": {
        "zh": "还是没读懂，先不打扰你了。“{title}”还在，想继续时填写它就好，或者再说一次你的计划。",
        "en": "I still could not tell, so I will leave it there. “{title}” is still open: fill it in when "
        "you like, or tell me about your plan again.",
    },
    "form_title": {"zh": "请补充计划信息", "en": "Please tell me about your plan"},
    "goal": {"zh": "目标", "en": "Goal"},
    "goal_hint": {"zh": "例如：三个月内学会游泳", "en": "For example: learn to swim in three months"},
    "dueDate": {"zh": "期望完成日期", "en": "Due date"},
    "timeAvailable": {"zh": "可用时间", "en": "Time available"},
    "timeAvailable_hint": {
        "zh": "例如：每天一小时、每周五小时",
        "en": "For example: one hour a day, 5 hours a week",
    },
    "constraints": {"zh": "限制条件", "en": "Constraints"},
    "constraints_hint": {"zh": "例如：预算、哪几天不行", "en": "For example: budget, days away"},
    "submit": {"zh": "提交", "en": "Submit"},
    "between_names": {"zh": "、", "en": ", "},
    "between_sentences": {"zh": "", "en": " "},
    "again": {
        "zh": "还差一点：{problems}请修改后再提交一次。",
        "en": "Almost there: {problems} Please correct it and submit again.",
    },
    "problem_required": {"zh": "“{field}”需要填写。", "en": "“{field}” is required."},
    "problem_text": {"zh": "“{field}”需要是文字。", "en": "“{field}” must be text."},
    "problem_date": {
        "zh": "“{field}”需要是一个日期，例如 2026-03-01 或“下周五”。",
        "en": "“{field}” must be a date, such as 2026-03-01 or “next Friday”.",
    },
    "problem_time": {
        "zh": "“{field}”要说清每天或每周多少，例如“每天一小时”“每周五小时”。",
        "en": "“{field}” must say how much a day or a week, such as “one hour a day”, “5 hours a week”.",
    },
    "problem_long": {
        "zh": "“{field}”最多 {limit} 个字符。",
        "en": "“{field}” takes at most {limit} characters.",
    },
    "problem_values": {"zh": "没有读到表单内容。", "en": "The form's values could not be read."},
    "progress": {"zh": "信息已收齐", "en": "Everything is here"},
    "summary": {"zh": "计划已确认。\n{lines}", "en": "The plan is confirmed.\n{lines}"},
    "summary_line": {"zh": "{field}：{value}", "en": "{field}: {value}"},
    "plan_shown": {"zh": "这是你的计划：", "en": "Here is your plan:"},
    "plan_next": {"zh": "我看一下。", "en": "Let me see."},
    "plan_changed": {"zh": "好的，计划改好了：", "en": "All right, the plan is changed:"},
    "plan_done": {"zh": "记下了，{all} 步里完成了 {done} 步。", "en": "Noted: {done} of {all} steps done."},
    "plan_not_read": {
        "zh": "这个我还帮不上忙。你的计划还在，要改可以说“太紧了”“推迟两天”“第二步做完了”“看看我的计划”，"
        "或者直接说新的计划。",
        "en": "I can't help with that. Your plan is still here; to change it say “too tight”, “move it by two "
        "days”, “step 2 is done”, “show my plan”, or tell me about a new one.",
    },
    "plan_given_up": {
        "zh": "还是没读懂，计划先放在这里，原来的不变。",
        "en": "I still could not tell, so I leave the plan as it is.",
    },
    "plan_kept": {
        "zh": "计划已保存，随时可以说“看看我的计划”；说“导出日历”就能放进日历。",
        "en": "The plan is kept: say “show my plan” at any time, or “export my plan” to put it into your calendar.",
    },
    "plans_full": {
        "zh": "已经存了 {most} 个计划，不能再多了。先删掉一个，例如“删掉第一个计划”。",
        "en": "There are {most} plans, and no more are kept. Please delete one first: “delete plan 1”.",
    },
    "plans_none": {
        "zh": "这里还没有保存的计划。说说你想做什么，我来安排。",
        "en": "No plan is kept here yet. Tell me what you would like to do, and I will plan it.",
    },
    "plans_listed": {
        "zh": "你有 {count} 个计划，说“第二个”就能打开：",
        "en": "You have {count} plans; say “the second one” to open it:",
    },
    "plans_which": {
        "zh": "你有 {count} 个计划，说的是哪一个？",
        "en": "You have {count} plans. Which one do you mean?",
    },
    "plans_line": {
        "zh": "{number}. {goal}（{day}，完成 {done}/{all} 步）",
        "en": "{number}. {goal} ({day}, {done} of {all} steps done)",
    },
    "plan_name": {"zh": "“{goal}”", "en": "“{goal}”"},
    "plan_no_such": {
        "zh": "没有第 {number} 个计划，一共 {count} 个。",
        "en": "There is no plan {number}; there are {count}.",
    },
    "plan_gone": {"zh": "这个计划已经不在了。", "en": "That plan is not here any more."},
    "plan_deleted": {"zh": "已删掉{goals}的计划。", "en": "Deleted: the plan for {goals}."},
    "plan_restore": {"zh": "撤销", "en": "Undo"},
    "plan_restore_how": {
        "zh": "删错了就说“撤销”，一天之内都能找回。",
        "en": "If that was a mistake, say “undo” within a day.",
    },
    "plan_restored": {"zh": "找回来了：{goals}。", "en": "It is back: {goals}."},
    "calendar_ready": {"zh": "日历文件准备好了：", "en": "The calendar file is ready:"},
    "calendar_label": {"zh": "{goals}的日历", "en": "Calendar of {goals}"},
    "calendar_how": {
        "zh": "打开链接，用日历应用导入，或者把它当作订阅地址，改了计划会跟着变。链接只给你一个人，别转发；"
        "过几天就失效。",
        "en": "Open it with your calendar, or subscribe to it: it follows what you change. The link is yours "
        "alone, so do not pass it on; it ends after some days.",
    },
    "calendar_how_wechat": {
        "zh": "在微信里点开后，点右上角选“在浏览器打开”，再用日历应用导入。链接只给你一个人，别转发；"
        "过几天就失效。",
        "en": "After opening it in WeChat choose “Open in browser” at the top right, then import it with your "
        "calendar. The link is yours alone, so do not pass it on; it ends after some days.",
    },
    "calendar_no_address": {
        "zh": "现在还给不了日历文件：这里没有设置能打开它的网址（UNIASSIST_PLAN_PUBLIC_URL），请让管理员设置。"
        "计划本身还在。",
        "en": "I can't give you a calendar file yet: no address is set under which it could be opened "
        "(UNIASSIST_PLAN_PUBLIC_URL), which is for the operator to do. The plan itself is still here.",
    },
    "due_title": {"zh": "今天的安排：{goal}", "en": "Due today: {goal}"},
    "due_title_late": {"zh": "{day}的安排：{goal}", "en": "Due {day}: {goal}"},
    "refused_no_such_step": {
        "zh": "没有第 {number} 步，一共 {count} 步。",
        "en": "There is no step {number}; there are {count}.",
    },
    "refused_which_step": {
        "zh": "没找到是哪一步，请说编号，例如“第二步做完了”。",
        "en": "I could not tell which step; please say its number, such as “step 2 is done”.",
    },
    "refused_all_done": {"zh": "所有步骤都已经完成了。", "en": "All steps are done already."},
    "refused_done_already": {"zh": "第 {number} 步已经完成了，不用再挪。", "en": "Step {number} is done already."},
    "refused_past": {
        "zh": "{day}已经过去了，换一个以后的日子吧。",
        "en": "{day} is over; please name a later day.",
    },
    "refused_no_room": {
        "zh": "这样排不下：到期前没有足够的日子了。可以先推迟整个计划。",
        "en": "That does not fit before it is due. You could move the whole plan first.",
    },
    "refused_only_musts": {
        "zh": "{day}是定死的，剩下的每一步都省不掉。可以说“推迟两天”，或者告诉我每天有多少时间。",
        "en": "{day} is fixed and every step left is needed. You can say “move it by two days”, or how much time "
        "you have.",
    },
    "refused_event_stays": {
        "zh": "{day}的日子是定好的，没法提前；可以说“改到3月5日”。",
        "en": "It is on {day}; to have it earlier say “move it to March 5”.",
    },
    "refused_too_many_steps": {
        "zh": "一个计划最多 {most} 步，已经满了。",
        "en": "A plan has at most {most} steps, and this one has them.",
    },
    "refused_last_step": {"zh": "这样就没有步骤了。", "en": "No step would be left."},
    "unknown_action": {
        "zh": "这个操作我还不支持。你可以填写“{title}”表单并提交，或者直接告诉我你的新计划。",
        "en": "I can't do that. You can fill in and submit “{title}”, or tell me about a new plan.",
    },
}


def say(key: str, locale: str | None, **values: str) -> str:
    """The phrase in the person's language; values are put in as plain text."""
    return _CATALOGUE[key][language(locale)].format(**values)
